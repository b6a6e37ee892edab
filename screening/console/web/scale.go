package web

import (
	"fmt"
	"math"

	"thermogate/screening/console/store"
	"thermogate/screening/event"
)

// The drawing of a scale, in units of its own.
const (
	scaleWidth = 360.0
	scaleEdge  = 12.0
	rowHeight  = 44.0
	axisHeight = 22.0
	farthest   = 1000.0 // °C: no temperature is beyond it, and no scale could show it
)

// scale is the numbers of an event side by side on one axis.
type scale struct {
	Width, Height, Bottom float64
	Rows                  []scaleRow
	Ticks                 []scaleTick
}

type scaleRow struct {
	Kind     string // skin, body or reading
	Label    string
	Number   string
	Y        float64 // of its marks
	X        float64
	From, To float64 // its 95 % interval; the same where it has none
	Level    float64 // the threshold, on this row's own scale; 0 for none
	Top      float64
	Over     bool // at the threshold or above
}

type scaleTick struct {
	X    float64
	Text string
}

// scaleOf draws an event's numbers, and the second reading if there is one. The threshold of the body estimate, less the
// offset, is that of the skin: so what is over in one row is over in both.
func (t tongue) scaleOf(data event.Data, second *float64) *scale {
	type number struct {
		kind, label string
		at, half    float64
		level       float64
		leveled     bool
	}
	var numbers []number
	if data.SkinCelsius != nil {
		n := number{kind: "skin", label: t.Say("皮肤 · ", "Skin, ") + t.site(data.SkinSite), at: *data.SkinCelsius, half: value(data.SkinUncertaintyCelsius)}
		if data.ThresholdCelsius != nil {
			n.level, n.leveled = *data.ThresholdCelsius, true
			if data.BodyCelsius != nil {
				n.level = event.Hundredths(n.level - value(data.OffsetCelsius))
			}
		}
		numbers = append(numbers, n)
	}
	if data.BodyCelsius != nil {
		n := number{kind: "body", label: t.Say("体温估计", "Body estimate"), at: *data.BodyCelsius, half: value(data.BodyUncertaintyCelsius)}
		if data.ThresholdCelsius != nil {
			n.level, n.leveled = *data.ThresholdCelsius, true
		}
		numbers = append(numbers, n)
	}
	if second != nil {
		numbers = append(numbers, number{kind: "reading", label: t.Say("复测", "Second reading"), at: *second})
	}
	if len(numbers) == 0 {
		return nil
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, n := range numbers {
		low, high = min(low, n.at-n.half), max(high, n.at+n.half)
		if n.leveled {
			low, high = min(low, n.level), max(high, n.level)
		}
	}
	if !(low > -farthest && high < farthest) {
		return nil
	}
	low, high = math.Floor(low*2-0.2)/2, math.Ceil(high*2+0.2)/2
	x := func(celsius float64) float64 {
		return math.Round(10*(scaleEdge+(celsius-low)/(high-low)*(scaleWidth-2*scaleEdge))) / 10
	}
	s := &scale{Width: scaleWidth, Bottom: float64(len(numbers)) * rowHeight}
	s.Height = s.Bottom + axisHeight
	for i, n := range numbers {
		row := scaleRow{Kind: n.kind, Label: n.label, Top: float64(i) * rowHeight, X: x(n.at), From: x(n.at - n.half), To: x(n.at + n.half)}
		row.Y = row.Top + 31
		row.Number = fmt.Sprintf("%.2f", n.at)
		if n.half > 0 {
			row.Number += fmt.Sprintf(" ± %.2f", n.half)
		}
		row.Number += " °C"
		if n.leveled {
			row.Level, row.Over = x(n.level), n.at >= n.level
			sign := "<"
			if row.Over {
				sign = "≥"
			}
			row.Number += fmt.Sprintf(" %s %.2f", sign, n.level)
		}
		s.Rows = append(s.Rows, row)
	}
	step := 0.5
	for (high-low)/step > 8 {
		step *= 2
	}
	for at := math.Ceil(low/step) * step; at <= high; at += step {
		s.Ticks = append(s.Ticks, scaleTick{x(at), fmt.Sprintf("%.1f", at)})
	}
	return s
}

func (t tongue) site(site event.Site) string {
	if site == event.Forehead {
		return t.Say("额头", "forehead")
	}
	return t.Word(site)
}

func value(number *float64) float64 {
	if number == nil {
		return 0
	}
	return *number
}

// reasoning says step by step how a verdict follows from its numbers.
func (t tongue) reasoning(e store.Event) []string {
	d := e.Data
	var steps []string
	say := func(zh, en string, args ...any) { steps = append(steps, fmt.Sprintf(t.Say(zh, en), args...)) }
	if d.OutcomeOnly {
		say("这里只保存结论，测得的温度不保存。", "Only the outcome is kept here: what was measured is not.")
		say("结论：%s（%s）。", "So: %s (%s).", t.Word(d.Outcome), t.Word(d.Reason))
		return steps
	}
	if d.SkinCelsius == nil {
		say("没有得到皮肤读数：%s。", "There was no reading of the skin: %s.", t.Word(d.Reason))
	} else {
		say("%s在 %d 帧中测得 %.2f °C，95%% 区间 ± %.2f °C。", "The skin at the %s read %.2f °C in %d frames, ± %.2f °C (95 %%).",
			t.order(t.site(d.SkinSite), d.FramesUsed, *d.SkinCelsius, value(d.SkinUncertaintyCelsius))...)
	}
	if r := d.Reference; r.CorrectionCelsius != nil && d.SkinCelsius != nil {
		say("其中已含黑体修正 %+.2f °C（标称 %.2f，实测 %.2f）。", "This includes the reference source's correction of %+.2f °C (it is %.2f, and read %.2f).",
			*r.CorrectionCelsius, value(r.NominalCelsius), value(r.MeasuredCelsius))
		if r.NominalAssumed {
			say("黑体的标称温度是假定的，所有温度可能同样偏差。", "The true temperature of the reference source was assumed: every other one may be off by as much as it is.")
		}
	} else if d.SkinCelsius != nil {
		say("当时没有黑体修正。", "No reference source corrected it.")
	}
	if d.FaceCelsius != nil {
		say("脸部最热处测得 %.2f °C。", "The warmest spot of the face read %.2f °C.", *d.FaceCelsius)
	}
	if d.AmbientCelsius != nil {
		say("环境温度 %.1f °C。", "The air was at %.1f °C.", *d.AmbientCelsius)
	}
	if d.BodyCelsius != nil {
		offset := t.Say("体表补偿", "offset to the body")
		if d.Policy == "fused" {
			offset = t.Say("由以上测值得出的补偿", "offset to the body, from all of these")
		}
		say("%.2f + %.2f（"+offset+"）= %.2f °C 体温估计，± %.2f °C。", "%.2f + %.2f ("+offset+") = %.2f °C body estimate, ± %.2f °C.",
			value(d.SkinCelsius), value(d.OffsetCelsius), *d.BodyCelsius, value(d.BodyUncertaintyCelsius))
	}
	if d.BaselineCelsius != nil {
		say("此闸机近来的人内眼角平均 %.2f °C。", "People at this gate lately read %.2f °C at the inner canthus.", *d.BaselineCelsius)
	}
	if d.ThresholdCelsius != nil && d.SkinCelsius != nil {
		compared := value(d.BodyCelsius)
		if d.BodyCelsius == nil {
			compared = *d.SkinCelsius
		}
		if compared >= *d.ThresholdCelsius {
			say("%.2f ≥ %.2f（阈值）：达到阈值。", "%.2f ≥ %.2f, the threshold: at or above it.", compared, *d.ThresholdCelsius)
		} else {
			say("%.2f < %.2f（阈值）：低于阈值。", "%.2f < %.2f, the threshold: below it.", compared, *d.ThresholdCelsius)
		}
	}
	say("结论：%s（%s）。", "So: %s (%s).", t.Word(d.Outcome), t.Word(d.Reason))
	return steps
}

// order puts site, frames and temperature as the language wants them.
func (t tongue) order(site string, frames int, skin, half float64) []any {
	if t == "en" {
		return []any{site, skin, frames, half}
	}
	return []any{site, frames, skin, half}
}
