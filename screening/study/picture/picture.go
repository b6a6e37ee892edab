// Package picture draws a study as a PNG. It is apart from the study for all that drawing takes along.
package picture

import (
	"fmt"
	"image/color"
	"io"

	"thermogate/screening/study"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

var (
	ink    = color.RGBA{R: 0x1f, G: 0x4e, B: 0x79, A: 0xff}
	signal = color.RGBA{R: 0xc0, G: 0x39, B: 0x2b, A: 0xff}
	faint  = color.RGBA{R: 0x99, G: 0x99, B: 0x99, A: 0xff}
)

// Write draws a study as a PNG: the ROC with what each policy reaches, and the Bland–Altman plot.
func Write(w io.Writer, s study.Study) error {
	roc, err := rocPlot(s)
	if err != nil {
		return fmt.Errorf("drawing the ROC: %w", err)
	}
	agreement, err := agreementPlot(s)
	if err != nil {
		return fmt.Errorf("drawing the Bland–Altman plot: %w", err)
	}
	canvas := vgimg.New(28*vg.Centimeter, 14*vg.Centimeter)
	page := draw.New(canvas)
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: vg.Centimeter, PadTop: 5, PadBottom: 5, PadLeft: 5, PadRight: 10}
	for i, p := range []*plot.Plot{roc, agreement} {
		p.Draw(tiles.At(page, i, 0))
	}
	_, err = vgimg.PngCanvas{Canvas: canvas}.WriteTo(w)
	return err
}

func rocPlot(s study.Study) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "ROC"
	if s.AUC != nil {
		p.Title.Text = fmt.Sprintf("ROC, area %.3f (%.3f to %.3f)", s.AUC.Value, s.AUC.Low, s.AUC.High)
	}
	p.X.Label.Text, p.Y.Label.Text = "1 − specificity", "Sensitivity"
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	p.Legend.Left = false
	curve := plotter.XYs{}
	for _, point := range s.ROC {
		curve = append(curve, plotter.XY{X: point.FalsePositiveRate, Y: point.Sensitivity})
	}
	curve = append(curve, plotter.XY{})
	line, err := plotter.NewLine(curve)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = ink, vg.Points(1.5)
	chance, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	if err != nil {
		return nil, err
	}
	chance.Color, chance.Dashes = faint, []vg.Length{vg.Points(4), vg.Points(4)}
	p.Add(plotter.NewGrid(), chance, line)
	shapes := []draw.GlyphDrawer{draw.CircleGlyph{}, draw.TriangleGlyph{}, draw.BoxGlyph{}}
	for i, policy := range s.Policies {
		if policy.Sensitivity == nil || policy.Specificity == nil {
			continue
		}
		mark, err := plotter.NewScatter(plotter.XYs{{X: 1 - policy.Specificity.Value, Y: policy.Sensitivity.Value}})
		if err != nil {
			return nil, err
		}
		mark.GlyphStyle = draw.GlyphStyle{Color: signal, Radius: vg.Points(4), Shape: shapes[i%len(shapes)]}
		p.Add(mark)
		p.Legend.Add(string(policy.Policy), mark)
	}
	return p, nil
}

func agreementPlot(s study.Study) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "Bland–Altman: body by offset against oral"
	p.X.Label.Text, p.Y.Label.Text = "Mean of both (°C)", "Body − oral (°C)"
	points := plotter.XYs{}
	for _, a := range s.Agreement {
		points = append(points, plotter.XY{X: a.MeanCelsius, Y: a.DifferenceCelsius})
	}
	scatter, err := plotter.NewScatter(points)
	if err != nil {
		return nil, err
	}
	scatter.GlyphStyle = draw.GlyphStyle{Color: ink, Radius: vg.Points(1.5), Shape: draw.CircleGlyph{}}
	p.Add(plotter.NewGrid(), scatter)
	if len(s.Offsets) > 1 {
		return p, nil // each camera and site has its own limits
	}
	o := s.Offsets[0]
	for _, level := range []study.Interval{o.LowerLimit, o.BiasCelsius, o.UpperLimit} {
		line := plotter.NewFunction(func(float64) float64 { return level.Value })
		line.Color, line.Width = signal, vg.Points(1)
		p.Add(line)
		p.Y.Min, p.Y.Max = min(p.Y.Min, level.Low), max(p.Y.Max, level.High)
	}
	return p, nil
}
