package camera

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"thermogate/camera/v4l2"
	"thermogate/testdata"
)

const (
	sentWidth, sentHeight, sentFrames = 64, 48, 900
	patience                          = time.Minute
)

// sentCount is pixel i of frame n of a sender; the first two pixels name the sender and the frame.
func sentCount(sender, n, i int) uint16 {
	switch i {
	case 0:
		return uint16(sender)
	case 1:
		return uint16(n)
	}
	return uint16(29000 + (i*40503+n*257+sender*7919)%9000)
}

// sender sends 16-bit frames from another process.
type sender struct {
	t       *testing.T
	command *exec.Cmd
}

// startSender runs a GStreamer pipeline that plays the frames of sender number id, 30 a second, into sink.
func startSender(t *testing.T, id int, format, sink string) *sender {
	t.Helper()
	tool, err := exec.LookPath("gst-launch-1.0")
	if err != nil {
		t.Skip("needs gst-launch-1.0 (Debian: gstreamer1.0-tools, gstreamer1.0-plugins-bad)")
	}
	pipeline := sent(t, id, format) + " ! identity sync=true ! " + sink
	s := &sender{t: t, command: exec.Command(tool, append([]string{"-q"}, strings.Fields(pipeline)...)...)}
	s.command.Stderr = os.Stderr
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	return s
}

// sent begins a pipeline with the frames of sender number id, 30 a second.
func sent(t *testing.T, id int, format string) string {
	t.Helper()
	var order binary.AppendByteOrder = binary.LittleEndian
	if format == "gray16-be" {
		order = binary.BigEndian
	}
	var raw []byte
	for n := range sentFrames {
		for i := range sentWidth * sentHeight {
			raw = order.AppendUint16(raw, sentCount(id, n, i))
		}
	}
	path := filepath.Join(t.TempDir(), "frames.raw")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("filesrc location=%s blocksize=%d ! rawvideoparse format=%s width=%d height=%d framerate=30/1",
		path, sentWidth*sentHeight*2, format, sentWidth, sentHeight)
}

func (s *sender) signal(signal os.Signal) {
	s.t.Helper()
	if err := s.command.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sender) kill() {
	if s.command.ProcessState == nil {
		s.command.Process.Kill()
		s.command.Wait()
	}
}

// checkSent fails the test unless frame is exactly what the sender sent, and returns its number.
func checkSent(t *testing.T, frame *Frame, wantSender int) (n int) {
	t.Helper()
	if frame.Width != sentWidth || frame.Height != sentHeight {
		t.Fatalf("frame of %dx%d pixels, want %dx%d", frame.Width, frame.Height, sentWidth, sentHeight)
	}
	if got := int(frame.Counts[0]); got != wantSender {
		t.Fatalf("frame %d is of sender %d, want %d: it is stale", frame.Counts[1], got, wantSender)
	}
	n = int(frame.Counts[1])
	for i, got := range frame.Counts {
		if want := sentCount(wantSender, n, i); got != want {
			t.Fatalf("frame %d: pixel %d is %d, sent was %d", n, i, got, want)
		}
	}
	return n
}

// liveCamera is a Live and the states it went through.
type liveCamera struct {
	*Live
	t      *testing.T
	states chan Status
}

func watch(t *testing.T, uri string, config LiveConfig) *liveCamera {
	t.Helper()
	states := make(chan Status, 1000)
	config.OnState = func(status Status) { states <- status }
	live := NewLive(func(ctx context.Context) (Source, error) {
		return Open(ctx, uri, Options{Units: "centikelvin"})
	}, config)
	t.Cleanup(func() { live.Close() })
	return &liveCamera{live, t, states}
}

// await waits until the camera enters a state.
func (l *liveCamera) await(want State) Status {
	l.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case status := <-l.states:
			if status.State == want {
				return status
			}
		case <-deadline:
			l.t.Fatalf("the camera did not become %s within %v, it is %+v", want, patience, l.Status())
		}
	}
}

// receive reads frames of a sender until number n or later and returns the last one's number.
func (l *liveCamera) receive(sender, from, count int) (last int) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var frame Frame
	last = from
	for range count {
		if err := l.Read(ctx, &frame); err != nil {
			l.t.Fatalf("reading after frame %d: %v; the camera is %+v", last, err, l.Status())
		}
		n := checkSent(l.t, &frame, sender)
		if n <= last {
			l.t.Fatalf("frame %d came after frame %d", n, last)
		}
		if age := time.Since(frame.Captured); age > l.config.StallAfter {
			l.t.Fatalf("frame %d is %v old", n, age)
		}
		last = n
	}
	return last
}

func TestLiveSurvivesStallAndDeathOfTheSender(t *testing.T) {
	t.Parallel()
	port := testdata.FreePort(t)
	sink := fmt.Sprintf("gdppay ! tcpserversink host=127.0.0.1 port=%d", port)
	config := DefaultLiveConfig()
	config.StallAfter, config.RetryMax = 5*time.Second, 500*time.Millisecond // a busy machine shows pictures late
	camera := watch(t, fmt.Sprintf("gst:tcpclientsrc host=127.0.0.1 port=%d ! gdpdepay", port), config)

	if status := camera.await(Lost); status.Err == nil {
		t.Error("the camera is lost without a reason")
	}
	first := startSender(t, 1, "gray16-le", sink)
	camera.await(OK)
	last := camera.receive(1, -1, 20)

	first.signal(syscall.SIGSTOP)
	camera.await(Stalled)
	// What arrived before the stall is too old by now.
	short, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	var frame Frame
	if err := camera.Read(short, &frame); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reading from a stalled camera gave %v and frame %d", err, frame.Index)
	}
	first.signal(syscall.SIGCONT)
	camera.await(OK)
	camera.receive(1, last, 20)

	first.kill()
	if status := camera.await(Lost); !strings.Contains(fmt.Sprint(status.Err), "stream ended") {
		t.Errorf("the sender died, and the reason is %v", status.Err)
	}
	startSender(t, 2, "gray16-le", sink)
	camera.await(OK)
	camera.receive(2, -1, 20)
	if status := camera.Status(); status.Reopened < 3 || status.Frames < 60 {
		t.Errorf("unlikely counts: %+v", status)
	}
	if info := camera.Info(); info.Units != "centikelvin" || !info.Live {
		t.Errorf("info is %+v", info)
	}
}

// gated hands out a frame of a recording for each token.
type gated struct {
	Source
	tokens chan struct{}
}

func (g *gated) Read(ctx context.Context, frame *Frame) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-g.tokens:
	}
	return g.Source.Read(ctx, frame)
}

func TestLiveHandsOutTheNewestFrameAndCountsTheOthers(t *testing.T) {
	t.Parallel()
	path := writeStack(t, stack{frames: 20})
	tokens := make(chan struct{})
	live := NewLive(func(ctx context.Context) (Source, error) {
		recording, err := Open(ctx, path, Options{Loop: true})
		return &gated{recording, tokens}, err
	}, DefaultLiveConfig())
	defer live.Close()
	// A token is taken when the frame of the one before is kept: after 8 tokens frame 6 is.
	for range 8 {
		tokens <- struct{}{}
	}
	var frame Frame
	if err := live.Read(context.Background(), &frame); err != nil {
		t.Fatal(err)
	}
	status := live.Status()
	if frame.Index < 6 || int(status.Dropped) != frame.Index {
		t.Errorf("after 7 frames came frame %d with %d dropped", frame.Index, status.Dropped)
	}
	if got, want := frame.Counts[5], testCount(frame.Index, 5); got != want {
		t.Errorf("pixel 5 of frame %d is %d, want %d", frame.Index, got, want)
	}
}

// chameleon says of every second picture that its units are others.
type chameleon struct{ n int }

func (c *chameleon) Info() Info   { return Info{Units: []string{"centikelvin", "kelvin64"}[c.n%2]} }
func (c *chameleon) Close() error { return nil }

func (c *chameleon) Read(ctx context.Context, frame *Frame) error {
	c.n++
	frame.Width, frame.Height, frame.Counts = 1, 1, []uint16{uint16(c.n)}
	return ctx.Err()
}

func TestLiveDescribesThePictureItHandsOut(t *testing.T) {
	t.Parallel()
	live := NewLive(func(context.Context) (Source, error) { return new(chameleon), nil }, DefaultLiveConfig())
	defer live.Close()
	for range 500 {
		var frame Frame
		if err := live.Read(context.Background(), &frame); err != nil {
			t.Fatal(err)
		}
		want := (&chameleon{int(frame.Counts[0])}).Info().Units
		if info := live.Info(); info.Units != want || !info.Live {
			t.Fatalf("picture %d is in %s, want %s", frame.Counts[0], info.Units, want)
		}
	}
}

func TestLiveClosesWhileTheCameraIsSilent(t *testing.T) {
	t.Parallel()
	live := NewLive(func(ctx context.Context) (Source, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}, DefaultLiveConfig())
	read := make(chan error)
	go func() { read <- live.Read(context.Background(), new(Frame)) }()
	live.Close()
	if err := <-read; !errors.Is(err, ErrClosed) {
		t.Errorf("reading from a closed camera gave %v", err)
	}
}

// projector shows numbered pictures at a steady rate.
type projector struct {
	every time.Duration
	shows func(n int) uint16 // the counts of picture n
	n     *int               // goes on when it is opened again
}

func (p *projector) Info() Info   { return Info{FPS: 1 / p.every.Seconds()} }
func (p *projector) Close() error { return nil }

func (p *projector) Read(ctx context.Context, frame *Frame) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(p.every):
	}
	frame.Width, frame.Height, frame.Captured = 4, 3, time.Now()
	frame.Counts = slices.Repeat([]uint16{29000, 30000, p.shows(*p.n)}, 4)
	*p.n++
	return nil
}

// project keeps a Live on a projector, by a clock of its own, reads all it hands out for a while, and returns the states
// the camera went through with the time of each, when pictures were handed out, and the last status.
func project(t *testing.T, every, length time.Duration, shows func(n int) uint16) (states []string, handedOut []time.Duration, last Status) {
	synctest.Test(t, func(t *testing.T) {
		began, n := time.Now(), 0
		config := DefaultLiveConfig()
		config.OnState = func(s Status) {
			states = append(states, fmt.Sprint(time.Since(began).Round(100*time.Millisecond), " ", s.State))
		}
		live := NewLive(func(context.Context) (Source, error) { return &projector{every, shows, &n}, nil }, config)
		ctx, cancel := context.WithTimeout(context.Background(), length)
		defer cancel()
		var frame Frame
		for live.Read(ctx, &frame) == nil {
			handedOut = append(handedOut, time.Since(began))
		}
		last = live.Status()
		live.Close()
	})
	return states, handedOut, last
}

const tenth = time.Second / 10

func TestLiveOpensAFrozenCameraAgain(t *testing.T) {
	// It works for 5 s, sends one picture until 30 s, and works again.
	states, handedOut, last := project(t, tenth, 40*time.Second, func(n int) uint16 {
		if n >= 50 && n < 250 {
			n = 49
		}
		return uint16(n)
	})
	if want := []string{"100ms ok", "8s stalled"}; len(states) != 3 || !slices.Equal(states[:2], want) || !strings.HasSuffix(states[2], " ok") {
		t.Errorf("the states were %q, want %q and ok", states, want)
	}
	for _, at := range handedOut {
		if at > 8100*time.Millisecond && at < 25*time.Second {
			t.Errorf("a picture was handed out at %v, while the camera was frozen", at)
		}
	}
	if last.State != OK || last.Err != nil || last.Reopened < 2 {
		t.Errorf("in the end the camera is %+v", last)
	}
}

func TestLiveSaysThatACameraIsFrozen(t *testing.T) {
	states, _, last := project(t, tenth, time.Minute, func(int) uint16 { return 7 })
	if want := []string{"100ms ok", "3.1s stalled"}; !slices.Equal(states, want) {
		t.Errorf("the states were %q, want %q", states, want)
	}
	// It is given ten seconds to start up, and then ever longer pauses.
	if last.Reopened < 3 || last.Reopened > 6 {
		t.Errorf("it was opened again %d times in a minute", last.Reopened)
	}
	if want := "the camera has sent the same picture for 3s"; last.Err == nil || last.Err.Error() != want {
		t.Errorf("the error is %v, want %s", last.Err, want)
	}
}

func TestLiveGivesACameraTimeToStartUp(t *testing.T) {
	// One picture until 8 s.
	states, _, last := project(t, tenth, 20*time.Second, func(n int) uint16 { return uint16(max(n, 80)) })
	if want := []string{"100ms ok", "3.1s stalled", "8.2s ok"}; !slices.Equal(states, want) {
		t.Errorf("the states were %q, want %q", states, want)
	}
	if last.Reopened != 0 {
		t.Errorf("it was opened again %d times", last.Reopened)
	}
}

func TestLiveKnowsRepeatsThatAreNoFreeze(t *testing.T) {
	for name, shows := range map[string]func(n int) uint16{
		"every picture three times":       func(n int) uint16 { return uint16(n / 3) },
		"a shutter that holds it for 2 s": func(n int) uint16 { return uint16(n - n%120%20*min(1, n%120/100)) },
		"a change of one count":           func(n int) uint16 { return uint16(n / 25 % 2) },
	} {
		t.Run(name, func(t *testing.T) {
			states, handedOut, last := project(t, tenth, time.Minute, shows)
			if want := []string{"100ms ok"}; !slices.Equal(states, want) || last.Reopened != 0 {
				t.Errorf("the states were %q, want %q; it was opened again %d times", states, want, last.Reopened)
			}
			if len(handedOut) < 599 {
				t.Errorf("%d pictures were handed out", len(handedOut))
			}
		})
	}
}

// stuck is a driver of which one call never returns, until it is released.
type stuck struct {
	projector
	in       string // open, read or close
	released <-chan struct{}
}

func (s *stuck) call(name string) {
	if name == s.in {
		<-s.released
	}
}

func (s *stuck) Read(ctx context.Context, frame *Frame) error {
	if *s.n%10 == 9 {
		s.call("read")
	}
	if *s.n%10 == 9 && s.in == "close" {
		*s.n++
		return errors.New("unplugged")
	}
	return s.projector.Read(ctx, frame)
}

func (s *stuck) Close() error {
	s.call("close")
	return nil
}

// hang keeps a Live on a driver that hangs as often as times says, in one of its calls, and works after that.
func hang(t *testing.T, in string, times int, watch func(live *Live, log *[]string, release func())) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var opened atomic.Int32
		released := make(chan struct{})
		release := sync.OnceFunc(func() { close(released) })
		defer release()
		var log []string
		config := DefaultLiveConfig()
		config.OnState = func(s Status) {
			log = append(log, fmt.Sprint(time.Since(began).Round(time.Second), " ", s.State, " ", s.Hung))
		}
		live := NewLive(func(context.Context) (Source, error) {
			nth := int(opened.Add(1))
			first := 1000 * nth // another picture each time
			s := &stuck{projector{tenth, func(n int) uint16 { return uint16(n) }, &first}, in, released}
			if nth > times {
				s.in = ""
			}
			s.call("open")
			return s, nil
		}, config)
		watch(live, &log, release)
		closing := time.Now()
		live.Close()
		if took := time.Since(closing); took > closeLimit {
			t.Errorf("%s hangs: closing took %v", in, took)
		}
	})
}

func TestLiveOpensACameraAgainWhoseDriverNeverReturns(t *testing.T) {
	for in, want := range map[string]string{
		"open":  "[20s lost 0 32s lost 1 32s ok 1]",
		"read":  "[0s ok 0 3s stalled 0 15s stalled 1 15s ok 1]",
		"close": "[0s ok 0 3s stalled 0 15s stalled 1 15s ok 1]",
	} {
		hang(t, in, 1, func(live *Live, log *[]string, _ func()) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			var frame Frame
			var last time.Time
			for live.Read(ctx, &frame) == nil {
				last = time.Now()
			}
			if time.Since(last) > time.Second {
				t.Errorf("%s hangs: the last picture came %v ago; %+v", in, time.Since(last), live.Status())
			}
			if got := fmt.Sprint(*log); got != want {
				t.Errorf("%s hangs: the states were %s, want %s", in, got, want)
			}
		})
	}
}

func TestLiveLeavesOnlySoManyHungDriversBehind(t *testing.T) {
	hang(t, "read", 100, func(live *Live, log *[]string, release func()) {
		time.Sleep(time.Hour)
		if s := live.Status(); s.Hung != maxHung || s.State != Stalled || !strings.Contains(fmt.Sprint(s.Err), "restart the program") {
			t.Errorf("after an hour of a driver that hangs the camera is %+v", s)
		}
		before := live.Status().Reopened
		time.Sleep(time.Hour)
		if now := live.Status().Reopened; now != before {
			t.Errorf("it was opened %d more times", now-before)
		}
		release()
		time.Sleep(time.Minute)
		if s := live.Status(); s.Hung != 0 || s.State != OK {
			t.Errorf("after the driver has returned the camera is %+v; %v", s, *log)
		}
	})
}

func TestPipelineDeliversExactCounts(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"gray16-le", "gray16-be"} {
		t.Run(format, func(t *testing.T) {
			port := testdata.FreePort(t)
			startSender(t, 3, format, fmt.Sprintf("tcpserversink host=127.0.0.1 port=%d", port))
			caps := strings.ToUpper(strings.ReplaceAll(format, "-", "_"))
			source := openSoon(t, fmt.Sprintf("gst:tcpclientsrc host=127.0.0.1 port=%d ! rawvideoparse format=%s width=%d "+
				"height=%d framerate=30/1 ! video/x-raw,format=%s ! appsink max-buffers=9", port, format, sentWidth, sentHeight, caps))
			var frame Frame
			for range 10 {
				if err := source.Read(context.Background(), &frame); err != nil {
					t.Fatal(err)
				}
				checkSent(t, &frame, 3)
			}
		})
	}
}

// openSoon opens a camera whose sender is starting.
func openSoon(t *testing.T, uri string) Source {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		source, err := Open(ctx, uri, Options{})
		if err == nil {
			t.Cleanup(func() { source.Close() })
			return source
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestEightBitPipelineIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"I420", "GRAY8", "YUY2", "BGRx"} {
		uri := "gst:videotestsrc is-live=true ! video/x-raw,width=160,height=120,format=" + format
		source, err := Open(context.Background(), uri, Options{})
		if err == nil {
			source.Close()
			t.Errorf("%s: opened", format)
		} else if !errors.Is(err, errEightBit) {
			t.Errorf("%s: the reason is missing: %v", format, err)
		}
		source, err = Open(context.Background(), uri, Options{EightBit: true})
		if err != nil {
			t.Errorf("%s: for faces alone: %v", format, err)
			continue
		}
		if units := source.Info().Units; units != "grey8" {
			t.Errorf("%s: units are %s, want grey8", format, units)
		}
		source.Close()
	}
}

func TestTwoPlanePipelineGivesTheLowerPlane(t *testing.T) {
	t.Parallel()
	// Two planes as a sender of YUYV sees them: 8 rows of a picture, 8 rows of counts.
	raw := make([]byte, 2*256*192, 2*256*384)
	for i := range 256 * 192 {
		raw = binary.LittleEndian.AppendUint16(raw, sentCount(4, 0, i))
	}
	path := filepath.Join(t.TempDir(), "planes.raw")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := Open(context.Background(), fmt.Sprintf(
		"gst:filesrc location=%s ! rawvideoparse format=yuy2 width=256 height=384", path), Options{Orientation: Mirror})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var frame Frame
	if err := source.Read(context.Background(), &frame); err != nil {
		t.Fatal(err)
	}
	if frame.Width != 256 || frame.Height != 192 || source.Info().Units != "kelvin64" {
		t.Fatalf("frame of %dx%d pixels in %s, want 256x192 in kelvin64", frame.Width, frame.Height, source.Info().Units)
	}
	for i, got := range frame.Counts {
		if want := sentCount(4, 0, i/256*256+255-i%256); got != want {
			t.Fatalf("pixel %d is %d, want %d", i, got, want)
		}
	}
}

func TestDeviceThatIsNoCamera(t *testing.T) {
	if device := v4l2.Query("/dev/null"); device.Err == nil {
		t.Errorf("/dev/null is %+v", device)
	}
}
