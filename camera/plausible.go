package camera

import (
	"context"
	"errors"
	"fmt"
	"io"

	"thermogate/camera/radiometry"
)

// plausible lets no picture through before one can be true.
type plausible struct {
	Source
	seen  func(radiometry.Span)
	begun bool
}

// Plausible holds the first pictures of a source back until most of one lies where temperatures of people and rooms do, and
// tells seen, where it is not nil, how far that one reaches. Reading fails after ten that don't, with the units that would fit:
// the first pictures after power-on may be anything. A source without temperatures is let through.
func Plausible(source Source, seen func(radiometry.Span)) Source {
	return &plausible{Source: source, seen: seen}
}

func (p *plausible) Read(ctx context.Context, frame *Frame) error {
	if p.begun {
		return p.Source.Read(ctx, frame)
	}
	scale, err := p.Source.Info().Scale()
	if err != nil {
		return fmt.Errorf("scale of %s: %w", p.Source.Info().Name, err)
	}
	var wrong error
	for range firstLooks {
		if err := p.Source.Read(ctx, frame); wrong != nil && errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		var span radiometry.Span
		if span, wrong = scale.Span(frame.Counts); wrong == nil {
			p.begun = true
			if p.seen != nil && !scale.Relative() {
				p.seen(span)
			}
			return nil
		}
	}
	return fmt.Errorf("the units of %s can't be true: %w", p.Source.Info().Name, wrong)
}
