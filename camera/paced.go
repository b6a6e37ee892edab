package camera

import (
	"context"
	"time"
)

// paced plays a recording at the rate it was taken.
type paced struct {
	Source
	began    time.Time // wall clock of the first frame
	recorded time.Time // capture time of the first frame
}

// Paced plays a recording as if it happened now: Read waits until each frame is due and Captured is the wall clock.
func Paced(recording Source) Source { return &paced{Source: recording} }

func (p *paced) Info() Info {
	info := p.Source.Info()
	info.Live = true
	return info
}

func (p *paced) Read(ctx context.Context, frame *Frame) error {
	if err := p.Source.Read(ctx, frame); err != nil {
		return err
	}
	if p.began.IsZero() {
		p.began, p.recorded = time.Now(), frame.Captured
	}
	due := p.began.Add(frame.Captured.Sub(p.recorded))
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	frame.Captured = time.Now()
	return nil
}
