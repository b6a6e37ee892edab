package web

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"thermogate/screening/console/reports"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
)

// phrase is the same thing said in both languages, each as if it were the only one.
type phrase struct{ ZH, EN string }

// tongue is the language of a page, "zh" or "en".
type tongue string

// Say is what a page says.
func (t tongue) Say(zh, en string) string {
	if t == "en" {
		return en
	}
	return zh
}

func (t tongue) of(p phrase) string { return t.Say(p.ZH, p.EN) }

func (t tongue) event(p event.Phrase) string { return t.of(phrase(p)) }

// words are those that the store and the gates use, beside the words of the domain.
var words = map[string]phrase{
	string(store.New):    {"待处理", "new"},
	string(store.Taken):  {"处理中", "taken"},
	string(store.Read):   {"已复测", "second reading"},
	string(store.Closed): {"已关闭", "closed"},

	string(mqtt.Confirmed):  {"确认发热", "confirmed"},
	string(mqtt.FalseAlert): {"误报", "false alert"},
	string(mqtt.Gone):       {"人已离开", "gone, not read"},

	"take": {"接手", "taken"}, "close": {"关闭", "closed"},
	"expire": {"超时未复测，已退回并通知经理", "not followed up: given back, and managers told"}, "escalate": {"无人接手，已通知经理", "nobody took it: managers told"}, "undo": {"撤销", "undone"}, "late": {"到达太晚", "came in too late"}, "again": {"同一人再次告警", "the same person had an alert again"},

	store.Ear: {"耳温", "ear"}, store.Mouth: {"口温", "mouth"}, store.Armpit: {"腋温", "armpit"}, // and the forehead, as of a gate's reading

	string(store.Guard): {"保安", "guard"}, string(store.Manager): {"经理", "manager"}, string(store.Administrator): {"管理员", "administrator"},

	store.Link: {"连接", "link"}, store.Camera: {"相机", "camera"}, store.Reference: {"黑体", "reference source"}, store.Pause: {"暂停", "pause"}, store.Clock: {"时钟", "clock"}, store.Keys: {"密钥", "keys"},

	store.Online: {"在线", "online"}, store.Offline: {"离线", "offline"}, store.Doubled: {"两台同名设备", "two machines"}, store.Quiet: {"没有消息", "silent"}, store.Unused: {"不在使用", "not in use"}, store.RevokedLink: {"已吊销", "revoked"},
	store.ClockAhead: {"比控制台快两分钟以上", "ahead of the console's by more than two minutes"}, store.ClockBehind: {"比控制台慢两分钟以上", "behind the console's by more than two minutes"},
	string(store.SiteKeyBefore): {"还用旧的厂区密钥", "the site's key before"}, string(store.SiteKeyOther): {"厂区密钥不是本控制台的", "a site's key that is not of this console"},
	string(store.NumberKeyBefore): {"缺新的工号密钥", "the newest number key is missing"}, string(store.NumberKeyOther): {"工号密钥与控制台不同", "other number keys than here"},
	string(store.KeysUntold): {"没有报密钥：程序旧，或没有读码器", "tells none: its program is old, or it has no reader"},
	"on":                     {"已暂停", "paused"}, "off": {"运行", "running"},

	string(store.MadeAccount): {"新建账号", "made an account"}, string(store.ChangedRole): {"改变角色或范围", "changed role or scope"},
	string(store.LockedAccount): {"锁定账号", "locked an account"}, string(store.UnlockedAccount): {"解锁账号", "unlocked an account"},
	string(store.RenewedPassword): {"给出一次性密码", "gave a one-time password"}, string(store.ChangedPassword): {"修改自己的密码", "changed their password"},
	string(store.LoggedIn): {"登录", "logged in"}, string(store.LoggedOut): {"退出", "logged out"}, string(store.FailedLogIn): {"登录失败", "log-in failed"},
	string(store.RestedAccount): {"密码错误太多，账号暂停", "too many wrong passwords: account rests"}, string(store.Exported): {"导出", "exported"},
	string(store.ChangedSettings): {"配置已改", "settings changed"},
	string(store.ChangedShifts):   {"排班已改", "shifts changed"},

	"offset": {"阈值", "threshold"}, store.Group: {"人群", "group"}, "both": {"阈值和人群", "threshold and group"}, "fused": {"融合", "fused"},

	string(store.AnyLeft): {"没测就走了（停下没停下都算）", "left or walked through"},

	string(reports.Shift): {"班次", "shift"}, string(reports.Day): {"日", "day"}, string(reports.Week): {"周", "week"}, string(reports.Month): {"月", "month"},

	string(store.Saw): {"查看", "saw"}, string(store.ChangedAlert): {"处理告警", "saw to an alert"}, string(store.AddedReading): {"抽测", "read somebody without an alert"}, string(store.DeletedEvent): {"删除记录", "deleted an event"},
	string(store.ChangedRetention): {"改变保存期", "changed how long events are kept"}, string(store.ChangedKept): {"改变保存什么", "changed what is kept"},
	"outcomes-kept": {"只保存结论", "outcomes only"}, "all-kept": {"也保存数值", "temperatures, too"},
	string(store.Stripped): {"抹去已存的数值，记录数", "erased what was stored, of so many events"}, string(store.Retired): {"到期删除记录，早于", "deleted events of before"},
	string(store.RetiredAudit): {"到期删除审计，截至", "deleted old lines of the audit, up to"}, string(store.Held): {"冻结", "held"}, string(store.EndedHold): {"解除冻结", "ended a hold"},
	string(store.BackedUp): {"备份", "backed up to"}, string(store.Restored): {"恢复自备份", "restored from"},
	string(store.TrustedClock): {"确认控制台时钟无误", "said that the console's clock is right"},
	string(store.InvitedGate):  {"给出接入链接", "made a link for a gate"}, string(store.WithdrewInvitation): {"撤回接入链接", "withdrew the link for a gate"},
	string(store.JoinedGate): {"设备用链接接入", "a box joined by the link"}, string(store.RevokedGate): {"吊销闸机", "revoked a gate"},
	notKept: {"不保存", "not kept"},

	string(store.Personnel): {"人事", "personnel"}, string(store.OfCompany): {"公司登录", "of a company"},
	string(store.Asked): {"待批准", "asked"}, string(store.Approved): {"已批准", "approved"}, string(store.Suspended): {"已暂停", "suspended"},
	string(store.Applied): {"已生效", "applied"}, string(store.Undone): {"已撤销", "undone"},
	string(store.AskedCompany): {"登记公司", "entered a company"}, string(store.DecidedCompany): {"批准或暂停公司", "approved or suspended a company"},
	string(store.ListedPeople): {"更新人员名单", "changed the list of people"}, string(store.UnlistedPeople): {"撤销名单更新", "undid a change of the list"},
	string(store.IssuedCodes): {"发通行码，个数", "issued codes"}, string(store.RevokedCodes): {"吊销通行码，个数", "revoked codes"},
	string(store.MadeKey): {"新建密钥", "made a key"}, string(store.ForgotPerson): {"删除人员", "deleted a person"},

	"password": {"密码", "password"}, "oidc": {"公司账号", "company's account"}, "no-group": {"公司账号不在允许的组里", "in none of the groups:"}, "locked": {"账号已锁定", "the account is locked"},
}

// keyNames are what the keys of a site are called.
var keyNames = map[store.KeyKind]phrase{store.CodesKey: {"签名密钥", "signing key"}, store.RootKey: {"厂区密钥", "site's key"}, store.NumberKey: {"工号密钥", "number key"}}

// notKept stands in place of a number that was not kept. It was measured: a number that was not is empty.
const notKept = "not-kept"

// Kept is a temperature of an event.
func (t tongue) Kept(data event.Data, celsius *float64) string {
	if celsius == nil && data.OutcomeOnly {
		return t.Word(notKept)
	}
	return t.Celsius(celsius)
}

// Read is what the second reading of an alert reads.
func (t tongue) Read(a *store.Alert) string {
	if a.ReadCelsius == nil && !a.ReadAt.IsZero() {
		return t.Word(notKept)
	}
	return t.Celsius(a.ReadCelsius)
}

// Word falls back to the word itself, so that one these pages do not know yet is still shown.
func (t tongue) Word(word any) string {
	text := fmt.Sprint(word)
	if p, known := event.PhraseOf(text); known {
		return t.of(phrase(p))
	}
	if p, known := words[text]; known {
		return t.of(p)
	}
	return text
}

// Hundredths is a number without its unit.
func (tongue) Hundredths(number *float64) string {
	if number == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f", *number)
}

// Number is what somebody entered.
func (tongue) Number(number *float64) string { return strconv.FormatFloat(*number, 'f', -1, 64) }

// Uncover is what of the things somebody wears has to come off before a second reading: not a mask.
func (t tongue) Uncover(worn []event.Garment) string {
	return t.Worn(slices.DeleteFunc(slices.Clone(worn), func(garment event.Garment) bool { return garment == event.Mask }))
}

// Many is so many of something.
func (t tongue) Many(n int, zh, one, more string) string {
	if t == "en" && n != 1 {
		one = more
	}
	return fmt.Sprint(n, " ", t.Say(zh, one))
}

// Fault is what is wrong with a part of a gate.
func (t tongue) Fault(part, value string) string {
	if part == store.Reference || part == store.Group {
		return t.Word(value) // which names it
	}
	return t.Word(part) + t.Say("：", ": ") + t.Word(value)
}

// Worn is what somebody wears, as a list.
func (t tongue) Worn(worn []event.Garment) string {
	var all []string
	for _, garment := range worn {
		all = append(all, t.Word(garment))
	}
	return strings.Join(all, t.Say("、", ", "))
}

// settings are the names of those that events tell.
var settings = map[string]phrase{
	"policy": {"规则", "policy"}, "threshold": {"阈值", "threshold"}, "reference": {"黑体标称", "reference source is"},
	"door": {"门", "door"}, "camera": {"相机", "camera"}, "version": {"程序", "software"},

	"policy.kind": {"规则", "policy"}, "policy.threshold_celsius": {"阈值 °C", "threshold, °C"}, "policy.margin_celsius": {"高于人群 °C", "margin above the group, °C"},
	"policy.offset_celsius": {"体表补偿 · 内眼角 °C", "offset to the body, inner canthus, °C"}, "policy.forehead_offset_celsius": {"体表补偿 · 额头 °C", "offset to the body, forehead, °C"},
	"policy.face_offset_celsius": {"体表补偿 · 面部 °C", "offset to the body, face, °C"}, "policy.prior_celsius": {"人群初值 °C", "group to begin with, °C"},
	"policy.ambient_celsius": {"环境温度 °C", "ambient temperature, °C"}, "measure.reference_celsius": {"黑体标称 °C", "reference source is, °C"},
	"door.output": {"门", "door"}, "camera.name": {"相机名称", "camera's name"}, "camera.uri": {"相机地址", "camera's address"}, "camera.orientation": {"相机安装方向", "how the camera is mounted"},
}

// Setting is the name of a setting.
func (t tongue) Setting(name string) string {
	if site, is := strings.CutPrefix(name, "offset "); is {
		return t.Say("体表补偿 · ", "offset to the body, ") + t.Word(site)
	}
	if p, known := settings[name]; known {
		return t.of(p)
	}
	return name
}

// SettingValue is what a setting is.
func (t tongue) SettingValue(s store.Setting) string {
	switch {
	case s.Value == "":
		return t.Say("没有设", "not set")
	case s.Name == "policy" || s.Name == "policy.kind":
		return t.Word(s.Value)
	}
	return s.Value
}

var wrongClock = phrase{"闸机和控制台的时间不一致，人和告警可能算错班次：给不准的那台对时（timedatectl set-ntp true）。下一个人通过后自动消除", "It and the console have different times, and people and alerts may count in another shift: set the clock that is wrong (timedatectl set-ntp true). This goes with the next person"}

// remedies say what to do about a fault.
var remedies = map[string]phrase{
	"link offline":                                 {"检查闸机电源和网线", "Check the gate's power and network cable"},
	"link doubled":                                 {"两台设备用同一个名称，互相挤下线：关掉被替换的那台，或给它另起名称", "Two machines have its name and throw each other off the broker: switch off the one that was replaced, or give it another name"},
	"link quiet":                                   {"闸机没有消息：检查电源和网络，期间请人工测温", "Nothing comes from it: check power and network, and screen by hand meanwhile"},
	"camera " + string(event.CameraStarting):       {"相机正在启动，请等一分钟", "The camera is starting: give it a minute"},
	"camera " + string(event.CameraStalled):        {"画面停住：检查相机线缆", "The picture stands still: check the camera's cable"},
	"camera " + string(event.CameraLost):           {"相机没有连接：插好线缆", "The camera is not connected: plug it in"},
	"reference " + string(event.ReferenceMissing):  {"黑体被遮挡或移动：请移开遮挡物，放回原位", "The reference source is covered or was moved: clear the view, put it back"},
	"reference " + string(event.ReferenceUnstable): {"黑体温度不稳：等它预热，避开风", "The reference source is not steady: let it warm up, keep draughts off"},
	"reference " + string(event.WarmingUp):         {"相机预热中，请稍候", "The camera is warming up: wait"},
	"reference " + string(event.ShutterClosed):     {"相机校准中，几秒后恢复", "The camera calibrates itself: it takes seconds"},
	"reference " + string(event.RangeChanged):      {"相机换了量程或增益：在相机里设为固定，再看读数", "The camera went to another range or gain: fix it in the camera's settings, then look at the readings"},
	"reference " + string(event.CarrierMoving):     {"载体在移动：停稳后才测温", "The carrier moves: people are screened once it stands"},
	"reference " + string(event.RoomTooWarm):       {"周围和皮肤一样热，分辨不出人脸，有人走过也不会有记录：请降温或换个地方，期间请人工测温", "What the camera sees is as warm as skin, so people walk through unseen: cool the room or move the gate, and screen by hand meanwhile"},
	"clock ahead":                                  wrongClock,
	"clock behind":                                 wrongClock,
	"group " + string(event.BaselineShift):         {"所有人读数一起偏低或偏高，已停止放行：检查黑体和镜头，修好后会自动恢复。都没有问题而读数仍这样，请登录闸机的 /status 页点“重新学习”", "Everybody reads low, or high, and nobody passes: look at reference source and lens. It goes on by itself once people read as usual. If both are right and people still read so, log in at the gate's /status and press “Learn anew”"},
	"reference " + string(event.NotRadiometric):    {"这台相机不能测温：换成测温型", "This camera does not measure: use a radiometric one"},
}

// keyRemedies say what to do about a gate whose keys are not the site's.
var keyRemedies = map[string]phrase{
	string(store.SiteKeyBefore):   {"闸机没有改用新的厂区密钥，新作废的通行码它不知道：看闸机日志，确认 MQTT 服务器允许控制台写 passes；不行就用新链接重新接入并重启", "It has not followed the site's new key, and does not know which codes are void now: look at its log, and whether the broker lets the console write passes; else have it join again by a new link and restart it"},
	string(store.SiteKeyOther):    {"闸机不认本控制台的名单。控制台没有恢复过旧备份的话，密钥可能被盗：用新链接重新接入并重启，期间人工核对通行码。恢复过的话，请“人事”先在“人员”页换一次厂区密钥，再让每台闸机重新接入", "It believes nothing of this console's lists. Unless the console was restored from a backup, a thief may have led it: have it join again by a new link, restart it, and look at codes by hand meanwhile. After a restore, first have personnel change the site's key once more (People, Keys…), then have each gate join again"},
	string(store.KeysUntold):      {"闸机程序太旧，跟不上换密钥：新作废的码它还放行，换工号密钥后印的码它说不完整。请更新程序", "Its program is too old to follow a change of keys: it still takes codes that are void by now, and finds those cut that were printed after a new number key. Update it"},
	string(store.NumberKeyBefore): {"用新链接重新接入并重启，不急：人照样计入", "Have it join again by a new link and restart it. There is no hurry: people count as before"},
	string(store.NumberKeyOther):  {"闸机的工号密钥控制台没有，在这里刷工号的人会算没来。控制台恢复过旧备份的话，请“人事”先在“人员”页换一次工号密钥；再让每台这样的闸机用新链接重新接入并重启", "It has number keys that the console does not have: people whose numbers it reads count as not seen. Where the console was restored from a backup, first have personnel change the number key once more (People, Keys…); then have each such gate join again by a new link and restart it"},
}

// Remedy says what to do about a fault.
func (t tongue) Remedy(part, value string) string {
	p, known := remedies[part+" "+value]
	if part == store.Keys {
		p, known = keyRemedies[value]
	}
	if known {
		return t.of(p)
	}
	return t.Say("请通知维护人员", "Tell whoever looks after the gates")
}

// Celsius is a temperature to the hundredth that verdicts are made with, so that numbers never contradict them.
func (tongue) Celsius(celsius *float64) string {
	if celsius == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f °C", *celsius)
}

// Entered is a reading as it was entered.
func (t tongue) Entered(reading store.Reading) string {
	if reading.NotKept {
		return t.Word(notKept)
	}
	if reading.Unit == "°F" {
		return fmt.Sprintf("%.1f °F", reading.Celsius*9/5+32)
	}
	return fmt.Sprintf("%.1f °C", reading.Celsius)
}

// Ago is how long something took, roughly.
func (t tongue) Ago(d time.Duration) string {
	switch seconds := int(math.Max(0, d.Seconds())); {
	case seconds < 60:
		return fmt.Sprintf(t.Say("%d 秒", "%d s"), seconds)
	case seconds < 2*60*60:
		return fmt.Sprintf(t.Say("%d 分钟", "%d min"), seconds/60)
	case seconds < 48*60*60:
		return fmt.Sprintf(t.Say("%d 小时", "%d h"), seconds/3600)
	default:
		return fmt.Sprintf(t.Say("%d 天", "%d days"), seconds/86400)
	}
}

// Moment is a time of a site's day, with the date where that is not today's.
func (t tongue) Moment(at, now time.Time, zone *time.Location) string {
	at, now = at.In(zone), now.In(zone)
	clock := at.Format("15:04:05")
	if at.Year() == now.Year() && at.YearDay() == now.YearDay() {
		return clock
	}
	return t.Date(at) + " " + clock
}

// Date is a day.
func (t tongue) Date(at time.Time) string {
	if t == "en" {
		return at.Format("2 Jan 2006")
	}
	return at.Format("2006年1月2日")
}

// GateName is a gate's name, with its site.
func (tongue) GateName(gate mqtt.Gate) string { return gate.Name + " · " + gate.Site }
