package kiosk

import (
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"thermogate/screening/event"
)

// phrase is the same thing said in both languages, each as if it were the only one.
type phrase struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// message is one thing to tell the person in front of the gate.
type message struct {
	tone tone
	icon string // id of a symbol in web/icons.html
	head phrase // read in a second from two metres
	sub  phrase // what else helps, may be empty
	call phrase // head in a few words, for one of several people; empty where head is short
}

// short is what the message asks for in a few words.
func (m message) short() phrase {
	if m.call != (phrase{}) {
		return m.call
	}
	first, size := utf8.DecodeRuneInString(m.head.EN)
	return phrase{m.head.ZH, string(unicode.ToLower(first)) + m.head.EN[size:]}
}

// to says the message to the person at a place, with others beside.
func (m message) to(p place) message {
	m.head = p.says(m.short())
	return m
}

// with adds what else helps.
func (m message) with(more phrase) message {
	m.sub = m.sub.and(more)
	return m
}

// and puts two sentences side by side.
func (p phrase) and(q phrase) phrase {
	if p == (phrase{}) {
		return q
	}
	return phrase{p.ZH + "；" + q.ZH, p.EN + ". " + q.EN}
}

// place is where somebody is in the picture that people see of themselves. It is named as the picture's, which is no
// mirror: whoever is on its left stands on the right.
type place phrase

var (
	leftPlace   = place{"画面左边的人", "Person on the left of the picture"}
	middlePlace = place{"画面中间的人", "Person in the middle of the picture"}
	rightPlace  = place{"画面右边的人", "Person on the right of the picture"}
)

func (p place) says(what phrase) phrase { return phrase{p.ZH + "，" + what.ZH, p.EN + ": " + what.EN} }

// tone is the colour of a message; it also sorts messages by what they ask for.
type tone string

const (
	toneIdle         tone = "idle"      // nobody there
	toneMeasuring    tone = "measuring" // stay as you are
	toneGuide        tone = "guide"     // do something so that it works
	toneWait         tone = "wait"      // the gate needs a moment
	tonePass         tone = "pass"
	toneAlert        tone = "alert"
	toneInconclusive tone = "inconclusive"
	toneFault        tone = "fault"  // staff are needed
	tonePaused       tone = "paused" // nobody is screened, and staff know
)

var (
	idleMessage = message{tone: toneIdle, icon: "face", head: phrase{"请走近，看镜头", "Step up and look at the camera"}}

	measuringMessage = message{tone: toneMeasuring, icon: "face", head: phrase{"正在测温，请别动", "Measuring, hold still"}}

	momentMessage = message{tone: toneWait, icon: "wait", head: phrase{"请稍候", "One moment, please"}}

	oneMessage = message{tone: toneGuide, icon: "one", head: phrase{"请一个一个来", "One at a time, please"},
		sub: phrase{"其他人请退后一步", "Everybody else, please step back"}}

	passMessage = message{tone: tonePass, icon: "check", head: phrase{"体温正常，请进", "Temperature normal, please go in"},
		call: phrase{"请进", "please go in"}}

	alertMessage = message{tone: toneAlert, icon: "aside", head: phrase{"请到旁边稍候", "Please step aside"},
		sub: phrase{"工作人员会为您复测一次", "A colleague will measure you once more"}}

	pausedMessage = message{tone: tonePaused, icon: "staff", head: phrase{"测温已暂停", "Screening is paused"},
		sub: phrase{"请联系保安", "Please go to the guard"}}

	// For those who stay after a pass.
	passedMessage = message{tone: toneIdle, icon: "check", head: phrase{"已测完，请进", "All done, please go in"},
		call: passMessage.call}

	// For those who passed and for whom the door is not open yet, mostly because of somebody before them.
	queueMessage = message{tone: toneWait, icon: "wait", head: phrase{"体温正常，请稍候", "Temperature normal, please wait"},
		call: phrase{"请稍候", "please wait"}}

	// For those who passed and for whom the door has been open.
	measuredMessage = message{tone: toneIdle, icon: "check", head: phrase{"已测过", "Already measured"}}
	askStaffAtDoor  = phrase{"门没开请找工作人员", "If the door is shut, ask staff"}

	// For those whose pass came too late to open a door for them.
	lateMessage = message{tone: toneFault, icon: "staff", head: phrase{"请找工作人员", "Please ask staff"},
		sub: phrase{"结果出来得太晚，不是您的问题", "It isn't you: the result came too late"}}

	// For everybody while that is to be expected.
	slowMessage = message{tone: toneFault, icon: "staff", head: lateMessage.head,
		sub: phrase{"现在结果出来得太晚", "Results come too late just now"}}
)

// againIcon marks the inconclusive verdicts after which the person can do better in the next look.
const againIcon = "again"

// inconclusiveHead goes with every inconclusive verdict the person can do something about.
var inconclusiveHead = phrase{"没有测准，请再试一次", "That didn't work, please try again"}

// guideOf tells a person what to do about what is in the way of the measurement, and what of the things they wear has
// to come off.
func guideOf(problem event.Reason, worn []event.Garment) message {
	guide := func(icon string, head, sub phrase) message {
		return message{tone: toneGuide, icon: icon, head: head, sub: sub}
	}
	wait := func(head, sub phrase) message { return message{tone: toneWait, icon: "wait", head: head, sub: sub} }
	fault := func(head, sub phrase) message { return message{tone: toneFault, icon: "staff", head: head, sub: sub} }
	switch problem {
	case event.NoProblem:
		return measuringMessage
	case event.TooFar:
		return guide("closer", phrase{"请再走近一点", "Come a little closer"}, phrase{})
	case event.CutOff:
		return guide("centre", phrase{"请站到画面中间", "Step to the middle"},
			phrase{"让整张脸都在画面里", "Your whole face should be in the picture"})
	case event.TurnedAway:
		return guide("face", phrase{"请正对镜头", "Face the camera"}, phrase{})
	case event.Moving:
		return guide("still", phrase{"请站稳，别动", "Hold still for a second"}, phrase{})
	case event.Covered:
		icon, head := uncover(worn)
		return guide(icon, head, phrase{"口罩不用摘", "You can keep a mask on"})
	case event.OutOfRange:
		return guide("face", phrase{"读数不对，请正对镜头", "That reading looks wrong, face the camera"}, phrase{})
	case event.TooCold:
		return guide("cold", phrase{"脸太凉，测不准", "Your face is too cold to read"}, warmUp)
	case event.SecondReading:
		return wait(secondReading, phrase{})
	case event.ShutterClosed:
		return wait(phrase{"请稍等几秒", "One moment, please"}, phrase{"相机正在校准", "The camera is calibrating"})
	case event.RangeChanged:
		return wait(phrase{"请稍等几秒", "One moment, please"}, phrase{"相机刚换了量程", "The camera has just changed its range"})
	case event.CarrierMoving:
		return wait(phrase{"请站稳，稍等", "Please stand still and wait"}, phrase{"停稳后开始测温", "Measuring starts once this machine stands"})
	case event.WarmingUp:
		return wait(phrase{"请稍候，正在预热", "Please wait, warming up"},
			phrase{"相机温度稳定后开始测温", "Measuring starts once the camera is stable"})
	case event.ReferenceUnstable:
		return wait(phrase{"请稍候，正在准备", "Please wait, getting ready"},
			phrase{"黑体温度还不稳定", "The reference source is not stable yet"})
	case event.ReferenceMissing:
		return fault(phrase{"暂时不能测温", "Can't measure right now"},
			phrase{"看不到黑体，请找工作人员", "The reference source is out of view, please ask staff"})
	case event.NotRadiometric:
		return fault(phrase{"这台相机不能测温", "This camera can't measure"}, phrase{"请找工作人员", "Please ask staff"})
	}
	return momentMessage
}

var (
	warmUp        = phrase{"在室内等几分钟再来测", "Warm up inside for a few minutes, then try again"}
	secondReading = phrase{"请等工作人员复测", "Please wait for a colleague to measure you again"}
)

// uncover asks for what covers a face. What is neither glasses nor a hat is hair; a mask covers nothing that is read.
func uncover(worn []event.Garment) (icon string, head phrase) {
	glasses, hat := slices.Contains(worn, event.Glasses), slices.Contains(worn, event.Hat)
	switch {
	case glasses && hat:
		return "uncover", phrase{"请摘下帽子和眼镜", "Please take off your hat and glasses"}
	case glasses:
		return "uncover", phrase{"请摘下眼镜", "Please take off your glasses"}
	case hat:
		return "hat", phrase{"请摘下帽子", "Please take off your hat"}
	}
	return "hair", phrase{"请拨开头发，露出额头和眼睛", "Move your hair aside, show eyes and forehead"}
}

// inconclusiveOf says why nothing could be decided and what would help.
func inconclusiveOf(reason event.Reason, worn []event.Garment) message {
	verdict := func(icon string, head, sub, call phrase) message {
		return message{tone: toneInconclusive, icon: icon, head: head, sub: sub, call: call}
	}
	cold := phrase{"请先暖和一下", "please warm up first"}
	again := phrase{"请再试一次", "please try again"}
	staff := phrase{"请找工作人员", "please ask staff"}
	switch reason {
	case event.ColdArrival:
		return verdict("cold", phrase{"脸还很凉，请先暖和一下", "Your face is still cold"}, warmUp, cold)
	case event.TooCold:
		return verdict("cold", phrase{"脸太凉，测不准", "Your face is too cold to read"}, warmUp, cold)
	case event.SecondReading:
		return verdict("aside", secondReading, phrase{}, phrase{})
	case event.Lifeless:
		return verdict("staff", phrase{"画面静止，没有测成", "The picture stands still, no reading"},
			phrase{"不是您的问题，请找工作人员", "It isn't you: please ask staff"}, staff)
	case event.ReferenceLost, event.GroupUnknown, event.BaselineShift,
		event.ReferenceMissing, event.ReferenceUnstable, event.NotRadiometric:
		return verdict("staff", phrase{"这次没有测成", "No reading this time"},
			phrase{"不是您的问题，请找工作人员", "It isn't you: please ask staff"}, staff)
	case event.TooClose:
		return verdict(againIcon, inconclusiveHead, phrase{"请正对镜头，站稳", "Face the camera and hold still"}, again)
	}
	guide := guideOf(reason, worn)
	if guide.tone == toneGuide {
		return verdict(againIcon, inconclusiveHead, guide.head, again)
	}
	return verdict(againIcon, inconclusiveHead, phrase{}, again)
}

// verdictOf is what a person reads after the screening.
func verdictOf(data *event.Data) message {
	switch data.Outcome {
	case event.Pass:
		return passMessage
	case event.Alert:
		return alertMessage
	default:
		return inconclusiveOf(data.Reason, data.Worn)
	}
}

func cameraMessage(state event.CameraState) message {
	switch state {
	case event.CameraOK, event.CameraStarting:
		return message{tone: toneWait, icon: "wait", head: phrase{"正在启动，请稍候", "Starting up, please wait"}}
	case event.CameraStalled:
		return message{tone: toneFault, icon: "camera-off", head: phrase{"画面中断，正在恢复", "Picture lost, recovering"},
			sub: phrase{"请稍候，或找工作人员", "Please wait or ask staff"}}
	default:
		return message{tone: toneFault, icon: "camera-off", head: phrase{"相机没有连接", "The camera is not connected"},
			sub: phrase{"请找工作人员", "Please ask staff"}}
	}
}

// labels are what only the engineers' page speaks of.
var labels = map[string]phrase{
	"measuring": {"测量中", "measuring"},
	"none":      {"未配置", "none configured"},
}

// label falls back to the word itself, so that a reason this page does not know yet is still shown.
func label[W ~string](word W) phrase {
	if p, known := event.PhraseOf(string(word)); known {
		return phrase(p)
	}
	if p, known := labels[string(word)]; known {
		return p
	}
	return phrase{string(word), string(word)}
}

// thirds are the places in a picture, from the top, from the left.
var thirds = [3][3]phrase{
	{{"左上", "top left"}, {"上方", "top"}, {"右上", "top right"}},
	{{"左侧", "left"}, {"中间", "middle"}, {"右侧", "right"}},
	{{"左下", "bottom left"}, {"下方", "bottom"}, {"右下", "bottom right"}},
}

// What to do next, for whoever puts the camera up.
var (
	aimNotRadiometric = phrase{"这台相机只有画面、没有温度，请换一台能测温的", "This camera gives pictures without temperatures. Use one that measures"}
	aimLens           = phrase{"慢慢转动镜头，直到清晰度最大。镜头转不动的，把镜头擦干净", "Turn the lens until the sharpness is highest. One that can't be turned: wipe it clean"}
	aimLensBack       = phrase{"转过头了，把镜头慢慢转回去", "Turn the lens back slowly: it was sharper before"}
	aimPaused         = phrase{"测温已暂停，恢复后才能看人脸", "Screening is paused. End the pause: no face is looked at meanwhile"}
	aimNobody         = phrase{"请一个人站到测温的位置，正对镜头", "Have somebody stand where people will be measured and look into the camera"}
	aimBack           = phrase{"把相机往后移：人脸超过画面的一半", "Move the camera back: the face takes more than half of the picture"}
	aimCutOff         = phrase{"转动相机，让整张脸都在画面里", "Turn the camera until the whole face is in the picture"}
	aimWarmingUp      = phrase{"相机正在预热，请稍候", "Wait: the camera is warming up"}
	aimUnstable       = phrase{"黑体温度还不稳，等它预热，避开风", "Wait until the reference source is steady. Let it warm up, keep draughts off it"}
	aimDone           = phrase{"位置合适。把相机固定好，别再碰它", "The camera stands well. Fix it so that nothing can move it"}
)

func aimNearer(width, least float64) phrase {
	return phrase{fmt.Sprintf("把相机移近：人脸宽 %.0f 像素，需要 %.0f 像素", width, least),
		fmt.Sprintf("Move the camera nearer: the face is %.0f pixels wide, %.0f are needed", width, least)}
}

func aimReferenceMissing(least, most float64) phrase {
	return phrase{fmt.Sprintf("找不到黑体。把它放到人站的位置旁边，不要遮挡，在画面里宽 %.0f 到 %.0f 像素", least, most),
		fmt.Sprintf("The reference source is not found. Put it beside where people stand, with nothing before it, %.0f to %.0f pixels across", least, most)}
}

// referenceLeft says what to do about a source that is not what it was, or not where it was.
func referenceLeft(found bool) phrase {
	if found {
		return phrase{"黑体和原来不一样了：看看有没有被遮挡、换掉、晒到或碰到。确认它没有问题，就下指令 recalibrate",
			"The reference source is not what it was. Has it been covered, changed, touched, or is the sun on it? If it is right, send the command recalibrate"}
	}
	return phrase{"黑体不在原来的位置：拿开遮挡，或把黑体、相机移回原处。确认是移到了新位置，就下指令 recalibrate",
		"The reference source is not where it was. Uncover it, or move it or the camera back. If it is meant to stand elsewhere, send the command recalibrate"}
}

func aimLamp(celsius float64, where phrase) phrase {
	return phrase{fmt.Sprintf("画面%s有 %.0f °C 的热源。转动相机，避开灯、取暖器和阳光", where.ZH, celsius),
		fmt.Sprintf("Something of %.0f °C is in the picture (%s). Turn the camera away from lamps, heaters and sunlight", celsius, where.EN)}
}
