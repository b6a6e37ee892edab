package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// State is the health of a live camera.
type State string

// The states of a camera.
const (
	Starting State = "starting" // not open yet
	OK       State = "ok"
	Stalled  State = "stalled" // open, but no picture within the stall limit, or always the same one
	Lost     State = "lost"    // it broke off or can't be opened
)

// Status is what a Live knows of its camera.
type Status struct {
	State State
	Since time.Time // when State began
	Err   error     // what went wrong, nil in the states Starting and OK
	// Frames, Dropped and Reopened count since the start: pictures that arrived, those that were replaced by a newer one
	// or grew too old before anybody read them, and attempts to open the camera again.
	Frames, Dropped, Reopened uint64
	// Hung counts the openings of the camera that its driver has not let go of, at most maxHung. Only the end of the
	// program frees what they hold.
	Hung int
}

// LiveConfig says how patient a Live is.
type LiveConfig struct {
	// StallAfter is how old a picture may be, and how long to wait for one until the camera is opened again.
	StallAfter time.Duration
	// RetryMin and RetryMax bound the pause before the camera is opened again; it doubles with each failure.
	RetryMin, RetryMax time.Duration
	// OnState, where set, is called at every change of state and whenever Hung grows, by one goroutine at a time.
	OnState func(Status)
}

// DefaultLiveConfig returns the limits a gate needs: two seconds without a picture are a stall.
func DefaultLiveConfig() LiveConfig {
	return LiveConfig{StallAfter: 2 * time.Second, RetryMin: 250 * time.Millisecond, RetryMax: 10 * time.Second}
}

// ErrClosed is what reading from a closed Live returns.
var ErrClosed = errors.New("the camera is closed")

const (
	// frozenAfter is how long a camera may repeat one picture. A shutter event holds a picture for up to two seconds, and
	// in the picture of a sensor that works there is noise: no two are the same, count by count.
	frozenAfter = 3 * time.Second
	// startUp is how long a camera that was just opened may repeat its first one until it is opened again.
	startUp = 10 * time.Second
	// openLimit is how long a camera may take from opening to its first picture. What opens it has shorter limits of its
	// own, and knows what to do.
	openLimit = 20 * time.Second
	// letGo is how long a source may take to notice that it is done with, and to close. OpenCV lets go of a silent V4L2
	// device after 10 s.
	letGo = 12 * time.Second
	// closeLimit is how long Close waits for that.
	closeLimit = 2 * time.Second
	// maxHung is how many sources may hang at once, each with a thread and what its driver holds. The camera is not opened
	// again before one of them returns.
	maxHung = 3
)

// Live keeps a live camera open: it reads in the background, keeps the newest picture only, and opens the camera again
// when it stalls, freezes, breaks off or hangs, for as long as it takes. It is a Source that never ends.
type Live struct {
	open   func(context.Context) (Source, error)
	config LiveConfig
	stop   context.CancelFunc
	done   chan struct{}
	ready  chan struct{} // holds a token while a picture may be waiting

	mu      sync.Mutex
	info    Info
	status  Status
	newest  Frame
	source  Info      // of newest
	arrived time.Time // of newest
	fresh   bool      // newest was not handed out yet
	before  []uint16  // the counts of the last picture that arrived
	told    int       // Hung when OnState was last called
	broken  bool      // it stalled, froze or was opened again: nothing counts until a picture differs from before
}

// NewLive starts to keep the camera that open opens. Sources that open returns should notice within seconds that the
// context of Read is done, even while no picture comes; those of Open do. One whose driver never returns is left
// behind, and open is called again meanwhile.
func NewLive(open func(context.Context) (Source, error), config LiveConfig) *Live {
	ctx, stop := context.WithCancel(context.Background())
	l := &Live{
		open: open, config: config, stop: stop,
		done: make(chan struct{}), ready: make(chan struct{}, 1),
		info:   Info{Live: true},
		status: Status{State: Starting, Since: time.Now()},
	}
	go l.run(ctx)
	return l
}

// Info describes the camera as it was when it took the picture that Read last returned; before that as it was when last
// opened, and before that only Live is set.
func (l *Live) Info() Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.info
}

// Status returns the camera's health and counters.
func (l *Live) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// Read waits for a picture that was not handed out yet and is younger than the stall limit. Frame.Index counts on when
// the camera is opened again. It fails only when ctx is done or the Live is closed.
func (l *Live) Read(ctx context.Context, frame *Frame) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.done:
			return ErrClosed
		case <-l.ready:
		}
		if l.take(frame) {
			return nil
		}
	}
}

func (l *Live) take(frame *Frame) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.fresh {
		return false
	}
	l.fresh = false
	if l.broken || time.Since(l.arrived) >= l.config.StallAfter {
		l.status.Dropped++
		return false
	}
	*frame, l.newest = l.newest, *frame
	l.info = l.source
	return true
}

// Close stops reading and waits a moment until the camera is let go of. A source that is being opened is closed as soon as
// it is open.
func (l *Live) Close() error {
	l.stop()
	<-l.done
	return nil
}

// run opens the camera again and again until ctx is done.
func (l *Live) run(ctx context.Context) {
	defer close(l.done)
	retry := l.config.RetryMin
	for {
		if l.Status().Hung < maxHung {
			delivered, err := l.session(ctx)
			if ctx.Err() != nil {
				return
			}
			if delivered {
				retry = l.config.RetryMin
			}
			if errors.Is(err, errStalled) || errors.Is(err, errFrozen) {
				l.setState(Stalled, err)
			} else {
				l.setState(Lost, err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retry):
		}
		retry = min(2*retry, l.config.RetryMax)
		l.reopening()
	}
}

// reopening lets nothing count until a new picture comes.
func (l *Live) reopening() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = true
	if l.status.Hung < maxHung {
		l.status.Reopened++
	}
}

// leave lets a source that hangs be, until it ends after all, and says how many hang.
func (l *Live) leave(ended <-chan error) (hung int) {
	count := func(change int) int {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.status.Hung += change
		return l.status.Hung
	}
	hung = count(1)
	go func() {
		<-ended
		count(-1)
	}()
	return hung
}

// session opens the camera once and watches it until it fails, stalls, freezes or hangs. It has delivered once a picture
// differed from the one before.
func (l *Live) session(parent context.Context) (delivered bool, err error) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	arrivals := arrivals{picture: make(chan struct{}, 1), change: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() { ended <- l.readAll(ctx, arrivals) }()
	giveUp := func(why error) (bool, error) {
		cancel()
		return delivered, l.part(parent, ended, why)
	}

	changes, starting := 0, true
	var opening, stalled, frozen alarm // the last two are set from the first picture on
	opening.set(openLimit)
	defer opening.stop()
	defer stalled.stop()
	defer frozen.stop()
	for {
		select {
		case <-opening.rings:
			l.setState(Lost, errNoFirst)
			return giveUp(errNoFirst)
		case <-arrivals.picture:
			opening.stop()
			stalled.set(l.config.StallAfter)
			if frozen.timer == nil {
				frozen.set(frozenAfter)
			}
		case <-arrivals.change:
			delivered = true
			changes++
			frozen.set(frozenAfter)
			l.setState(OK, nil)
		case <-stalled.rings:
			l.stall(errStalled)
			return giveUp(errStalled)
		case <-frozen.rings:
			l.stall(errFrozen)
			if changes > 1 || !starting {
				return giveUp(errFrozen)
			}
			starting = false
			frozen.set(startUp - frozenAfter)
		case err := <-ended:
			return delivered, err
		case <-parent.Done():
			return giveUp(parent.Err())
		}
	}
}

// part waits until a source has let go of its device, so that it can be opened again, or leaves it behind where it hangs.
// It adds that to why.
func (l *Live) part(parent context.Context, ended <-chan error, why error) error {
	select {
	case <-ended:
		return why
	case <-parent.Done(): // a source that is being opened may take long to notice; it is closed when it does
		select {
		case <-ended:
		case <-time.After(closeLimit):
		}
		return why
	case <-time.After(letGo):
	}
	hung := l.leave(ended)
	err := fmt.Errorf("%w; its driver hangs (%d of at most %d)", why, hung, maxHung)
	if hung == maxHung {
		err = fmt.Errorf("%w: it is not called again, restart the program", err)
	}
	return err
}

var (
	errNoFirst = fmt.Errorf("no picture came within %v of opening the camera", openLimit)
	errStalled = errors.New("the camera delivers no pictures any more")
	errFrozen  = fmt.Errorf("the camera has sent the same picture for %v", frozenAfter)
)

// alarm rings once after it was last set. Its zero value does not ring.
type alarm struct {
	timer *time.Timer
	rings <-chan time.Time
}

func (a *alarm) set(after time.Duration) {
	if a.timer == nil {
		a.timer = time.NewTimer(after)
		a.rings = a.timer.C
		return
	}
	a.timer.Reset(after)
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// arrivals tell of every picture, and of those that differ from the one before.
type arrivals struct{ picture, change chan struct{} }

// readAll opens the camera, keeps its newest picture and tells of each, until an error or ctx ends it.
func (l *Live) readAll(ctx context.Context, arrivals arrivals) error {
	source, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.mu.Lock()
	l.info = liveInfo(source)
	l.mu.Unlock()
	var frame Frame
	for {
		if err := source.Read(ctx, &frame); err != nil {
			if err == io.EOF {
				err = errors.New("the camera's stream ended")
			}
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if l.keep(&frame, liveInfo(source)) {
			notify(arrivals.change)
		}
		notify(arrivals.picture)
		notify(l.ready)
	}
}

// keep makes frame the newest picture and takes the memory of the last one in return. It says whether anything in it has
// changed.
func (l *Live) keep(frame *Frame, source Info) (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if changed = !slices.Equal(frame.Counts, l.before); changed {
		l.before = append(l.before[:0], frame.Counts...)
		l.broken = false
	}
	if l.fresh {
		l.status.Dropped++
	}
	frame.Index, frame.Opening = int(l.status.Frames), int(l.status.Reopened)
	l.status.Frames++
	l.newest, *frame = *frame, l.newest
	l.source = source
	l.arrived = time.Now()
	l.fresh = true
	return changed
}

func liveInfo(source Source) Info {
	info := source.Info()
	info.Live = true
	return info
}

func notify(channel chan<- struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}

// stall lets nothing of the camera count any more until it sends another picture.
func (l *Live) stall(why error) {
	l.mu.Lock()
	l.broken = true
	l.mu.Unlock()
	l.setState(Stalled, why)
}

func (l *Live) setState(state State, err error) {
	l.mu.Lock()
	news := l.status.State != state || l.status.Hung > l.told
	if l.status.State != state {
		l.status.State, l.status.Since = state, time.Now()
	}
	l.status.Err = err
	l.told = l.status.Hung
	status := l.status
	l.mu.Unlock()
	if news && l.config.OnState != nil {
		l.config.OnState(status)
	}
}
