package kiosk

import (
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
}

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
	idleMessage = message{toneIdle, "face", phrase{"请走近，看镜头", "Step up and look at the camera"}, phrase{}}

	measuringMessage = message{toneMeasuring, "face", phrase{"正在测温，请别动", "Measuring, hold still"}, phrase{}}

	momentMessage = message{toneWait, "wait", phrase{"请稍候", "One moment, please"}, phrase{}}

	passMessage = message{tonePass, "check", phrase{"体温正常，请进", "Temperature normal, please go in"}, phrase{}}

	alertMessage = message{toneAlert, "aside", phrase{"请到旁边稍候", "Please step aside"},
		phrase{"工作人员会为您复测一次", "A colleague will measure you once more"}}

	pausedMessage = message{tonePaused, "staff", phrase{"测温已暂停", "Screening is paused"},
		phrase{"请联系值班人员", "Please go to the guard"}}

	// For those who stay after a pass.
	passedMessage = message{toneIdle, "check", phrase{"已测完，请进", "All done, please go in"}, phrase{}}
)

// againIcon marks the inconclusive verdicts after which the person can do better in the next look.
const againIcon = "again"

// inconclusiveHead goes with every inconclusive verdict the person can do something about.
var inconclusiveHead = phrase{"没有测准，请再试一次", "That didn't work, please try again"}

// guideOf tells a person what to do about what is in the way of the measurement.
func guideOf(problem event.Reason) message {
	switch problem {
	case event.NoProblem:
		return measuringMessage
	case event.TooFar:
		return message{toneGuide, "closer", phrase{"请再走近一点", "Come a little closer"}, phrase{}}
	case event.CutOff:
		return message{toneGuide, "centre", phrase{"请站到画面中间", "Step to the middle"},
			phrase{"让整张脸都在画面里", "Your whole face should be in the picture"}}
	case event.TurnedAway:
		return message{toneGuide, "face", phrase{"请正对镜头", "Face the camera"}, phrase{}}
	case event.Moving:
		return message{toneGuide, "still", phrase{"请站稳，别动", "Hold still for a second"}, phrase{}}
	case event.Covered:
		return message{toneGuide, "uncover", phrase{"请露出额头和眼睛", "Uncover your eyes and forehead"},
			phrase{"摘下帽子、眼镜，拨开头发", "Lift your hat, glasses or hair"}}
	case event.OutOfRange:
		return message{toneGuide, "face", phrase{"读数不对，请正对镜头", "That reading looks wrong, face the camera"}, phrase{}}
	case event.ShutterClosed:
		return message{toneWait, "wait", phrase{"请稍等几秒", "One moment, please"}, phrase{"相机正在校准", "The camera is calibrating"}}
	case event.WarmingUp:
		return message{toneWait, "wait", phrase{"请稍候，正在预热", "Please wait, warming up"},
			phrase{"相机温度稳定后开始测温", "Measuring starts once the camera is stable"}}
	case event.ReferenceUnstable:
		return message{toneWait, "wait", phrase{"请稍候，正在准备", "Please wait, getting ready"},
			phrase{"参考源温度还不稳定", "The reference source is not stable yet"}}
	case event.ReferenceMissing:
		return message{toneFault, "staff", phrase{"暂时不能测温", "Can't measure right now"},
			phrase{"看不到参考源，请找工作人员", "The reference source is out of view, please ask staff"}}
	case event.NotRadiometric:
		return message{toneFault, "staff", phrase{"这台相机不能测温", "This camera can't measure"},
			phrase{"请找工作人员", "Please ask staff"}}
	}
	return momentMessage
}

// inconclusiveOf says why nothing could be decided and what would help.
func inconclusiveOf(reason event.Reason) message {
	switch reason {
	case event.ColdArrival:
		return message{toneInconclusive, "cold", phrase{"脸还很凉，请先暖和一下", "Your face is still cold"},
			phrase{"在室内等几分钟再来测", "Warm up inside for a few minutes, then try again"}}
	case event.ReferenceLost, event.GroupUnknown,
		event.ReferenceMissing, event.ReferenceUnstable, event.NotRadiometric:
		return message{toneInconclusive, "staff", phrase{"这次没有测成", "No reading this time"},
			phrase{"不是您的问题，请找工作人员", "It isn't you: please ask staff"}}
	case event.TooClose:
		return message{toneInconclusive, againIcon, inconclusiveHead, phrase{"请正对镜头，站稳", "Face the camera and hold still"}}
	}
	guide := guideOf(reason)
	if guide.tone == toneGuide {
		return message{toneInconclusive, againIcon, inconclusiveHead, guide.head}
	}
	return message{toneInconclusive, againIcon, inconclusiveHead, phrase{}}
}

// verdictOf is what a person reads after the screening.
func verdictOf(data *event.Data) message {
	switch data.Outcome {
	case event.Pass:
		return passMessage
	case event.Alert:
		return alertMessage
	default:
		return inconclusiveOf(data.Reason)
	}
}

// lingering is what a person reads who stays in view after that.
func lingering(data *event.Data) message {
	if data.Outcome == event.Pass {
		return passedMessage
	}
	return verdictOf(data)
}

func cameraMessage(state event.CameraState) message {
	switch state {
	case event.CameraOK, event.CameraStarting:
		return message{toneWait, "wait", phrase{"正在启动，请稍候", "Starting up, please wait"}, phrase{}}
	case event.CameraStalled:
		return message{toneFault, "camera-off", phrase{"画面中断，正在恢复", "Picture lost, recovering"},
			phrase{"请稍候，或找工作人员", "Please wait or ask staff"}}
	default:
		return message{toneFault, "camera-off", phrase{"相机没有连接", "The camera is not connected"},
			phrase{"请找工作人员", "Please ask staff"}}
	}
}

// labels are the short words of the engineers' page.
var labels = map[string]phrase{
	string(event.Pass):         {"正常", "Pass"},
	string(event.Alert):        {"复测", "Alert"},
	string(event.Inconclusive): {"未定", "Inconclusive"},

	string(event.BelowThreshold):         {"低于阈值", "below threshold"},
	string(event.BelowGroup):             {"与人群一致", "like the group"},
	string(event.BelowThresholdAndGroup): {"低于阈值，与人群一致", "below threshold, like the group"},
	string(event.AboveThreshold):         {"高于阈值", "above threshold"},
	string(event.AboveGroup):             {"高于人群", "above the group"},
	string(event.AboveThresholdAndGroup): {"高于阈值和人群", "above threshold and group"},
	string(event.TooClose):               {"离阈值太近", "too close to the threshold"},
	string(event.ColdArrival):            {"刚从冷处来", "just in from the cold"},
	string(event.ReferenceLost):          {"参考源失效", "reference lost"},
	string(event.GroupUnknown):           {"人群数据不足", "too few people to compare with"},
	string(event.NoReading):              {"没有读数", "no reading"},

	string(event.ReferenceMissing):  {"看不到参考源", "no reference source"},
	string(event.ReferenceUnstable): {"参考源不稳定", "reference not stable"},
	string(event.ShutterClosed):     {"快门校准", "shutter"},
	string(event.WarmingUp):         {"相机预热", "camera warming up"},
	string(event.TooFar):            {"太远", "too far"},
	string(event.CutOff):            {"出画", "cut off"},
	string(event.TurnedAway):        {"没有正对", "turned away"},
	string(event.Moving):            {"在动", "moving"},
	string(event.Covered):           {"有遮挡", "covered"},
	string(event.OutOfRange):        {"超出量程", "out of range"},
	string(event.NotRadiometric):    {"相机不测温", "not radiometric"},
	string(event.TooCold):           {"脸太冷", "face too cold"},
	string(event.Lifeless):          {"画面静止", "a still picture"},
	string(event.SecondReading):     {"等待复测", "second reading due"},
	string(event.Left):              {"没测完就走了", "left before a reading"},
	string(event.WalkedThrough):     {"没有停下", "walked through"},

	string(event.InnerCanthus): {"内眼角", "inner canthus"},
	string(event.Forehead):     {"额头", "forehead"},
	string(event.WholeFace):    {"面部", "face"},

	string(event.CameraStarting): {"启动中", "starting"},
	string(event.CameraOK):       {"正常", "ok"},
	string(event.CameraStalled):  {"停顿", "stalled"},
	string(event.CameraLost):     {"未连接", "not connected"},

	"measuring": {"测量中", "measuring"},
}

// label falls back to the word itself, so that a reason this page does not know yet is still shown.
func label[W ~string](word W) phrase {
	if p, ok := labels[string(word)]; ok {
		return p
	}
	return phrase{string(word), string(word)}
}
