package kiosk

import (
	"fmt"
	"slices"

	"thermogate/screening/event"
)

// phrase is the same thing said in both languages of the engineers' page, each as if it were the only one.
type phrase struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// message is one thing to tell the person in front of the gate. Its words are keys of a language's.
type message struct {
	tone  tone
	icon  string // id of a symbol in web/icons.html
	head  string // read in a second from two metres
	sub   string // what else helps, may be empty
	more  string // likewise
	to    place  // of the person it is for, where others could take it for theirs
	aside aside  // what it says to somebody else
}

// aside is a headline for the person at a place.
type aside struct {
	to   place
	head string
}

// said says the message to the person at a place, with others beside.
func (m message) said(to place) message {
	m.to = to
	return m
}

// with adds what else helps.
func (m message) with(key string) message {
	m.more = key
	return m
}

// beside adds what another message asks of the person at a place.
func (m message) beside(to place, other message) message {
	m.aside = aside{to, other.head}
	return m
}

// place is where somebody is in the picture, which is a mirror: whoever is on its left stands on the left.
type place string

const (
	leftPlace   place = "left"
	middlePlace place = "middle"
	rightPlace  place = "right"
)

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
	toneCode         tone = "code"   // of a sound: a code is asked for
)

var (
	idleMessage      = message{tone: toneIdle, icon: "face", head: "step-up"}
	measuringMessage = message{tone: toneMeasuring, icon: "face", head: "measuring"}
	momentMessage    = message{tone: toneWait, icon: "wait", head: "moment"}
	oneMessage       = message{tone: toneGuide, icon: "one", head: "one-at-a-time", sub: "step-back"}
	passMessage      = message{tone: tonePass, icon: "check", head: "go-in"}

	alertMessage = message{tone: toneAlert, icon: "alert", head: "step-aside", sub: "reading-comes"}
	// Once the console says that staff see to the alert, and that they have.
	alertTakenMessage  = message{tone: toneAlert, icon: "alert", head: "step-aside", sub: "staff-coming"}
	alertClosedMessage = message{tone: toneAlert, icon: "alert", head: "step-aside", sub: "staff-there"}
	// For whoever steps up while nobody has seen to the alert before.
	turnMessage = message{tone: toneWait, icon: "wait", head: "your-turn-comes", sub: "one-before"}

	pausedMessage = message{tone: tonePaused, icon: "staff", head: "paused", sub: "ask-staff"}

	// For those who stay after a pass.
	passedMessage = message{tone: toneIdle, icon: "check", head: "done"}
	// For those who passed and for whom the door is not open yet, mostly because of somebody before them.
	queueMessage = message{tone: toneWait, icon: "wait", head: "pass-waits"}
	// For those who passed and for whom the door has been open.
	measuredMessage = message{tone: toneIdle, icon: "check", head: "measured"}

	// For those whose pass came too late to open a door for them.
	lateMessage = message{tone: toneFault, icon: "staff", head: "ask-staff", sub: "too-late"}
	// For everybody while that is to be expected.
	slowMessage = message{tone: toneFault, icon: "staff", head: "ask-staff", sub: "slow"}
)

// askAtDoor is for those who passed and find the door shut.
const askAtDoor = "ask-at-door"

// What asks for a pass code.
const (
	showCode    = "show-code"
	codeRefused = "code-refused"
)

// againIcon marks the inconclusive verdicts after which the person can do better in the next look.
const againIcon = "again"

// guideOf tells a person what to do about what is in the way of the measurement, and what of the things they wear has
// to come off.
func guideOf(problem event.Reason, worn []event.Garment) message {
	guide := func(icon, head, sub string) message {
		return message{tone: toneGuide, icon: icon, head: head, sub: sub}
	}
	wait := func(head, sub string) message { return message{tone: toneWait, icon: "wait", head: head, sub: sub} }
	fault := func(head string) message {
		return message{tone: toneFault, icon: "staff", head: head, sub: "ask-staff"}
	}
	switch problem {
	case event.NoProblem:
		return measuringMessage
	case event.TooFar:
		return guide("closer", "closer", "")
	case event.CutOff:
		return guide("centre", "centre", "whole-face")
	case event.TurnedAway:
		return guide("face", "face-camera", "")
	case event.Moving:
		return guide("still", "hold-still", "")
	case event.Covered:
		icon, head := uncover(worn)
		return guide(icon, head, "keep-mask")
	case event.OutOfRange:
		return guide("face", "odd-reading", "")
	case event.TooCold:
		return guide("cold", "face-cold", "warm-up")
	case event.SecondReading:
		return wait("second-reading", "")
	case event.ShutterClosed:
		return wait("seconds", "calibrating")
	case event.RangeChanged:
		return wait("seconds", "range")
	case event.CarrierMoving:
		return wait("carrier", "carrier.sub")
	case event.WarmingUp:
		return wait("warming-up", "warming-up.sub")
	case event.ReferenceUnstable:
		return wait("preparing", "preparing.sub")
	case event.ReferenceMissing, event.RoomTooWarm:
		return fault("cannot-measure")
	case event.NotRadiometric:
		return fault("camera-cannot")
	}
	return momentMessage
}

// uncover asks for what covers a face. What is neither glasses nor a hat is hair; a mask covers nothing that is read.
func uncover(worn []event.Garment) (icon, head string) {
	glasses, hat := slices.Contains(worn, event.Glasses), slices.Contains(worn, event.Hat)
	switch {
	case glasses && hat:
		return "uncover", "no-hat-or-glasses"
	case glasses:
		return "uncover", "no-glasses"
	case hat:
		return "hat", "no-hat"
	}
	return "hair", "no-hair"
}

// inconclusiveOf says why nothing could be decided and what would help.
func inconclusiveOf(reason event.Reason, worn []event.Garment) message {
	verdict := func(icon, head, sub string) message {
		return message{tone: toneInconclusive, icon: icon, head: head, sub: sub}
	}
	switch reason {
	case event.ColdArrival:
		return verdict("cold", "still-cold", "warm-up")
	case event.TooCold:
		return verdict("cold", "face-cold", "warm-up")
	case event.SecondReading:
		return verdict("aside", "second-reading", "")
	case event.Lifeless:
		return verdict("staff", "still-picture", "not-you")
	case event.ReferenceLost, event.GroupUnknown, event.BaselineShift,
		event.ReferenceMissing, event.ReferenceUnstable, event.NotRadiometric, event.RoomTooWarm:
		return verdict("staff", "no-reading", "not-you")
	case event.TooClose:
		return verdict(againIcon, "try-again", "face-camera")
	}
	guide := guideOf(reason, worn)
	if guide.tone == toneGuide {
		return verdict(againIcon, "try-again", guide.head)
	}
	return verdict(againIcon, "try-again", "")
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
		return message{tone: toneWait, icon: "wait", head: "starting"}
	case event.CameraStalled:
		return message{tone: toneFault, icon: "camera-off", head: "stalled", sub: "wait-or-ask"}
	default:
		return message{tone: toneFault, icon: "camera-off", head: "no-camera", sub: "ask-staff"}
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
	aimRoomTooWarm    = phrase{"周围和皮肤一样热，分辨不出人脸。请降温，或换个地方安装", "The room is as warm as skin, so no face stands out. Cool it, or put the gate elsewhere"}
	aimUnstable       = phrase{"黑体温度还不稳，等它预热，避开风", "Wait until the reference source is steady. Let it warm up, keep draughts off it"}
	aimDone           = phrase{"位置合适。把相机固定好，别再碰它", "The camera stands well. Fix it so that nothing can move it"}
)

func aimNearer(width, least float64) phrase {
	return phrase{fmt.Sprintf("把相机移近：人脸宽 %.0f 像素，需要 %.0f 像素", width, least),
		fmt.Sprintf("Move the camera nearer: the face is %.0f pixels wide, %.0f are needed", width, least)}
}

func aimReferenceMissing(least, most float64) phrase {
	return phrase{fmt.Sprintf("找不到黑体。把它放到人站的位置旁边，不要遮挡，在画面里宽 %.0f 到 %.0f 像素；画面里不要有别的圆形热源", least, most),
		fmt.Sprintf("The reference source is not found. Put it beside where people stand, with nothing before it, %.0f to %.0f pixels across, and no other warm disc in the picture", least, most)}
}

// groupPhrase says what is wrong with the readings of people together, and what to do about it.
func groupPhrase(reason event.Reason) phrase {
	if reason == event.BaselineShift {
		return phrase{"大家的读数一起偏低或偏高，已停止放行。量一量黑体是否和设定温度一致，擦净镜头，避开风和阳光；修好后约 13 个人读数正常就恢复。都没有问题而读数仍是这样，就在登录后的这一页点“重新学习”，或下指令 recalibrate",
			"Everybody reads low, or high, and nobody passes. Is the reference source as warm as it is set, the lens clean, no sun or draught on them? Once mended, it goes on after some 13 people. If all is right and people still read so: log in on this page and press “Learn anew”, or send the command recalibrate"}
	}
	return label(reason)
}

// referenceLeft says what to do about a source that is not what it was, or not where it was.
func referenceLeft(found bool) phrase {
	if found {
		return phrase{"黑体和原来不一样了：看看有没有被遮挡、换掉、晒到或碰到。确认它没有问题，就在登录后的这一页点“重新学习”，或下指令 recalibrate",
			"The reference source is not what it was. Has it been covered, changed, touched, or is the sun on it? If it is right: log in on this page and press “Learn anew”, or send the command recalibrate"}
	}
	return phrase{"黑体不在原来的位置：拿开遮挡，或把黑体、相机移回原处。确认是移到了新位置，就在登录后的这一页点“重新学习”，或下指令 recalibrate",
		"The reference source is not where it was. Uncover it, or move it or the camera back. If it is meant to stand elsewhere: log in on this page and press “Learn anew”, or send the command recalibrate"}
}

func aimLamp(celsius float64, where phrase) phrase {
	return phrase{fmt.Sprintf("画面%s有 %.0f °C 的热源。转动相机，避开灯、取暖器和阳光", where.ZH, celsius),
		fmt.Sprintf("Something of %.0f °C is in the picture (%s). Turn the camera away from lamps, heaters and sunlight", celsius, where.EN)}
}
