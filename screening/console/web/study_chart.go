package web

import (
	"fmt"
	"math"
	"strings"

	"thermogate/screening/event"
	"thermogate/screening/policy"
	"thermogate/screening/study"
)

// The plots of a study, in the units of their drawings.
const (
	plotWidth, plotHeight = 320.0, 280.0
	mostPoints            = 1500 // that are drawn
)

// rocChart is the ROC of body temperature and what each policy reaches.
type rocChart struct {
	Curve string // path
	Marks []rocMark
	Ticks []plotTick
}

// rocMark is a policy.
type rocMark struct {
	X, Y  float64
	Shape string // path around the middle
	Kind  policy.Kind
}

// plotTick is on both axes.
type plotTick struct {
	X, Y float64
	Text string
}

// Right and Bottom are the ends of the axes.
func (rocChart) Right() float64        { return plotWidth }
func (rocChart) Bottom() float64       { return plotHeight }
func (agreementChart) Right() float64  { return plotWidth }
func (agreementChart) Bottom() float64 { return plotHeight }

func tenth(x float64) float64 { return math.Round(10*x) / 10 }

// markShapes tell policies apart where colours can't.
var markShapes = map[policy.Kind]string{
	policy.Offset: "m-6 0a6 6 0 1 0 12 0a6 6 0 1 0 -12 0z", policy.Group: "m-6 5h12l-6 -11z", policy.Both: "m-5 -5h10v10h-10z", policy.Fused: "m0 -7l7 7l-7 7l-7 -7z",
}

func rocOf(s study.Study) rocChart {
	var chart rocChart
	if s.AUC == nil {
		return chart
	}
	at := func(falsePositive, sensitivity float64) (x, y float64) {
		return tenth(plotWidth * falsePositive), tenth(plotHeight * (1 - sensitivity))
	}
	var b strings.Builder
	x, y := at(0, 0)
	fmt.Fprintf(&b, "M%g %g", x, y)
	for i := len(s.ROC) - 1; i >= 0; i-- {
		if nextX, nextY := at(s.ROC[i].FalsePositiveRate, s.ROC[i].Sensitivity); nextX != x || nextY != y {
			x, y = nextX, nextY
			fmt.Fprintf(&b, "L%g %g", x, y)
		}
	}
	chart.Curve = b.String()
	for _, p := range s.Policies {
		if p.Sensitivity != nil && p.Specificity != nil {
			x, y := at(1-p.Specificity.Value, p.Sensitivity.Value)
			chart.Marks = append(chart.Marks, rocMark{x, y, markShapes[p.Policy], p.Policy})
		}
	}
	for share := 0.0; share <= 1; share += 0.25 {
		x, y := at(share, share)
		chart.Ticks = append(chart.Ticks, plotTick{x, y, fmt.Sprintf("%.0f", 100*share)})
	}
	return chart
}

// agreementChart is the Bland–Altman plot.
type agreementChart struct {
	Alerts, Others string // paths of points
	Points, Left   int    // how many are drawn, and not
	Across, Up     []plotTick
	Zero           float64
	Lines          []plotTick // bias and limits of agreement, where there is one offset
}

// agreementOf draws points, and the limits where all are of one gate and site.
func agreementOf(points []study.Agreement, offsets []study.OffsetStudy) agreementChart {
	var chart agreementChart
	if len(points) < leastPairs {
		return chart
	}
	if chart.Left = max(0, len(points)-mostPoints); chart.Left > 0 {
		points = points[chart.Left:]
	}
	chart.Points = len(points)
	left, right, low, high := math.Inf(1), math.Inf(-1), -0.5, 0.5
	for _, p := range points {
		left, right = min(left, p.MeanCelsius), max(right, p.MeanCelsius)
		low, high = min(low, p.DifferenceCelsius), max(high, p.DifferenceCelsius)
	}
	left, right, low, high = math.Floor(2*left)/2, math.Floor(2*right)/2+0.5, math.Floor(2*low)/2, math.Ceil(2*high)/2
	across := func(celsius float64) float64 { return tenth(plotWidth * (celsius - left) / (right - left)) }
	up := func(celsius float64) float64 { return tenth(plotHeight * (high - celsius) / (high - low)) }
	var alerts, others strings.Builder
	for _, p := range points {
		if x, y := across(p.MeanCelsius), up(p.DifferenceCelsius); p.Outcome == event.Alert {
			fmt.Fprintf(&alerts, "M%g %gm-3.5 3h7l-3.5 -7z", x, y)
		} else {
			fmt.Fprintf(&others, "M%g %gm-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z", x, y)
		}
	}
	chart.Alerts, chart.Others, chart.Zero = alerts.String(), others.String(), up(0)
	for celsius := left; celsius <= right; celsius += tickStep(right - left) {
		chart.Across = append(chart.Across, plotTick{X: across(celsius), Text: fmt.Sprintf("%.1f", celsius)})
	}
	for celsius := low; celsius <= high; celsius += tickStep(high - low) {
		chart.Up = append(chart.Up, plotTick{Y: up(celsius), Text: strings.Replace(fmt.Sprintf("%+.1f", celsius), "+0.0", "0", 1)})
	}
	if len(offsets) == 1 {
		for _, level := range []study.Interval{offsets[0].UpperLimit, offsets[0].BiasCelsius, offsets[0].LowerLimit} {
			if level.Value >= low && level.Value <= high {
				chart.Lines = append(chart.Lines, plotTick{Y: up(level.Value), Text: fmt.Sprintf("%+.2f", level.Value)})
			}
		}
	}
	return chart
}

// tickStep leaves at most eight ticks.
func tickStep(span float64) float64 {
	step := 0.5
	for span/step > 7 {
		step *= 2
	}
	return step
}
