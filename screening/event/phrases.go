package event

// Phrase is the same thing said in both languages, each as if it were the only one.
type Phrase struct{ ZH, EN string }

// phrases are what people call the words of the domain, on every page of gate and console.
var phrases = map[string]Phrase{
	string(Pass):         {"正常", "Pass"},
	string(Alert):        {"告警", "Alert"},
	string(Inconclusive): {"未测准", "Inconclusive"},

	string(BelowThreshold):         {"低于阈值", "below the threshold"},
	string(BelowGroup):             {"与人群一致", "like the group"},
	string(BelowThresholdAndGroup): {"低于阈值，与人群一致", "below the threshold, like the group"},
	string(AboveThreshold):         {"达到阈值", "at or above the threshold"},
	string(AboveGroup):             {"高于人群", "above the group"},
	string(AboveThresholdAndGroup): {"达到阈值，也高于人群", "above threshold and group"},
	string(TooClose):               {"接近阈值", "too close to the threshold"},
	string(ColdArrival):            {"刚从冷处来", "just in from the cold"},
	string(ReferenceLost):          {"测温时黑体失效", "reference source lost while measuring"},
	string(GroupUnknown):           {"人群数据不足", "too few people to compare with"},
	string(BaselineShift):          {"众人读数一起偏移", "everybody reads low or high"},
	string(NoReading):              {"没有读数", "no reading"},
	string(ReferenceMissing):       {"看不到黑体", "reference source not in view"},
	string(ReferenceUnstable):      {"黑体温度不稳", "reference source not stable"},
	string(ShutterClosed):          {"快门校准", "shutter closed"},
	string(WarmingUp):              {"相机预热", "camera warming up"},
	string(TooFar):                 {"太远", "too far away"},
	string(CutOff):                 {"脸不完整", "face cut off"},
	string(TurnedAway):             {"没有正对", "turned away"},
	string(Moving):                 {"在动", "moving"},
	string(Covered):                {"有遮挡", "covered"},
	string(OutOfRange):             {"读数异常", "out of range"},
	string(NotRadiometric):         {"相机不支持测温", "camera does not measure"},
	string(TooCold):                {"脸太冷", "face too cold"},
	string(RangeChanged):           {"相机换了量程", "camera changed its range"},
	string(CarrierMoving):          {"载体在移动", "carrier moving"},
	string(RoomTooWarm):            {"周围和皮肤一样热，看不出人脸", "room as warm as skin, faces not seen"},
	string(Lifeless):               {"画面静止", "a still picture"},
	string(SecondReading):          {"等待复测", "second reading due"},
	string(Left):                   {"没测完就走了", "left before a reading"},
	string(WalkedThrough):          {"没有停下", "walked through"},

	string(Named):    {"身份", "Person"},
	string(NoRead):   {"没有读到码", "no code read"},
	string(TwoReads): {"读到不止一个码", "more than one code read"},
	string(TwoFaces): {"不止一个人", "more than one person"},
	string(Refused):  {"码无效", "code not valid"},
	string(Repeated): {"码刚被别人用过", "code just used by somebody else"},

	string(InnerCanthus): {"内眼角", "inner canthus"},
	string(Forehead):     {"额头", "forehead"},
	string(WholeFace):    {"面部", "face"},

	string(Glasses): {"眼镜", "glasses"},
	string(Mask):    {"口罩", "mask"},
	string(Hat):     {"帽子", "hat"},

	string(CameraStarting): {"启动中", "starting"},
	string(CameraOK):       {"正常", "ok"},
	string(CameraStalled):  {"画面卡住", "picture stalled"},
	string(CameraLost):     {"未连接", "not connected"},
}

// PhraseOf is what people call a word of the domain; it is false for any other word.
func PhraseOf(word string) (phrase Phrase, known bool) {
	phrase, known = phrases[word]
	return phrase, known
}

// ToDo is what to tell a gate, in the order in which it needs it.
func (l Lacks) ToDo() (all []Phrase) {
	for _, one := range []struct {
		lacks bool
		what  Phrase
	}{
		{l.Camera, Phrase{"接上热像仪：在闸机上运行 thermogate cameras，把它给出的几行写进配置文件（camera.uri），再重启闸机",
			"Give the gate a camera: run thermogate cameras on it, put the lines that it prints into the config (camera.uri), and restart the gate"}},
		{l.Units, Phrase{"说明相机数值的单位：设 camera.units，thermogate cameras 会提示；没有单位不能测温",
			"Say what the camera’s numbers mean: set camera.units, thermogate cameras tells to what; without it nobody can be measured"}},
		{l.Reference, Phrase{"写明黑体温度：设 measure.reference_celsius，按黑体的显示或证书；没有黑体就设 policy.kind: group，只比较人与人",
			"Say how warm the reference source is: set measure.reference_celsius to what its display or certificate says; without a source set policy.kind: group, which only compares people with each other"}},
	} {
		if one.lacks {
			all = append(all, one.what)
		}
	}
	return all
}
