// Package gst runs GStreamer pipelines, each in a process of its own: one that fails says why, one that hangs can be
// ended, and neither takes the program with it. A second pipeline, within the program, takes the pictures over.
package gst

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"thermogate/camera/bounded"
)

// Stream is a pipeline that runs. Its methods are for one goroutine, but for Wake.
type Stream struct {
	format  string
	frames  *os.File      // the pictures with their format, as gdppay writes them
	relayed chan struct{} // closed when no more of them come
	wakeOut *os.File
	wakeIn  *os.File
	log     *launchLog
	stop    context.CancelFunc
	ended   chan struct{} // closed when the process is gone
	err     error         // why it went, set before ended is closed
}

// ErrEnded is why a pipeline is over that had no fault.
var ErrEnded = errors.New("the camera's stream ended")

// packages of Debian have the elements that streams and the gate use; not all of them are on a gate with a USB camera.
const packages = "gstreamer1.0-tools, gstreamer1.0-plugins-base, gstreamer1.0-plugins-good, gstreamer1.0-plugins-bad"

// stopTime is how long a pipeline may take to take leave of its camera.
const stopTime = time.Second

// Start runs a pipeline without its sink, until it knows the format of its pictures. Its sender is connected to once. An
// error of a pipeline that fails says why; that of one that waits is ctx's cause, with what the pipeline warned of meanwhile.
func Start(ctx context.Context, pipeline string) (*Stream, error) {
	var pipes [3]struct{ out, in *os.File } // from the process, to the pipeline within the program, to wake that
	for i := range pipes {
		var err error
		if pipes[i].out, pipes[i].in, err = os.Pipe(); err != nil {
			for _, pipe := range pipes[:i] {
				pipe.out.Close()
				pipe.in.Close()
			}
			return nil, err
		}
	}
	sent, frames, wake := pipes[0], pipes[1], pipes[2]
	running, stop := context.WithCancel(context.Background())
	s := &Stream{frames: frames.out, wakeOut: wake.out, wakeIn: wake.in, stop: stop, relayed: make(chan struct{}),
		log: &launchLog{told: make(chan struct{})}, ended: make(chan struct{})}
	arguments := strings.Fields(pipeline + " ! gdppay name=thermogate ! fdsink fd=3 sync=false async=false")
	command := exec.CommandContext(running, "gst-launch-1.0", append([]string{"-v", "--no-fault"}, arguments...)...)
	command.Env = append(os.Environ(), "LC_ALL=C")
	command.Stdout, command.Stderr = s.log, s.log
	command.ExtraFiles = []*os.File{sent.in}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // a Ctrl-C is for the program alone
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }         // it says goodbye to its camera
	command.WaitDelay = stopTime
	err := command.Start()
	sent.in.Close()
	go s.relay(sent.out, frames.in)
	if err != nil {
		close(s.ended)
		s.Close()
		if errors.Is(err, exec.ErrNotFound) {
			return nil, errors.New("gst-launch-1.0 is missing; install the packages " + packages)
		}
		return nil, fmt.Errorf("gst-launch-1.0: %w", err)
	}
	go s.wait(command)
	select {
	case <-s.log.told:
	case <-s.ended:
	case <-ctx.Done():
	}
	if s.format = s.log.seen().format; s.format != "" {
		return s, nil
	}
	s.Close()
	if ctx.Err() != nil {
		return nil, s.Waiting(context.Cause(ctx))
	}
	return nil, s.err
}

// relay hands the pictures on. Ones that can't be taken over end the stream.
func (s *Stream) relay(from, to *os.File) {
	defer close(s.relayed)
	defer to.Close()
	defer from.Close()
	if err := relay(to, from); err != nil {
		s.log.fail(err.Error())
		s.stop()
	}
}

// wait waits until the process is gone. The pipeline within the program ends then, once it has taken what was sent.
func (s *Stream) wait(command *exec.Cmd) {
	err := command.Wait()
	switch seen := s.log.seen(); {
	case seen.reason != "":
		hint := "is the camera on, and is the pipeline right?"
		if strings.HasPrefix(seen.reason, "no element ") {
			hint = "is it spelt so? These packages have the elements: " + packages
		}
		s.err = fmt.Errorf("%s; %s", seen.reason, hint)
	case err != nil:
		s.err = fmt.Errorf("gst-launch-1.0: %w", err)
	case seen.format == "":
		s.err = errors.New("the pipeline does not end in video/x-raw,format=GRAY16_LE")
	default:
		s.err = ErrEnded
	}
	close(s.ended)
	s.wakeIn.Close()
}

// Format is that of the pictures, such as GRAY16_LE.
func (s *Stream) Format() string { return s.format }

// Err is why the pipeline is over, nil while it runs.
func (s *Stream) Err() error {
	select {
	case <-s.ended:
		return s.err
	default:
		return nil
	}
}

// Waiting adds to an error what the pipeline warned of last, such as a wrong passphrase.
func (s *Stream) Waiting(err error) error {
	if warning := s.log.seen().warning; warning != "" {
		return fmt.Errorf("%w (%s)", err, warning)
	}
	return err
}

// Close ends the pipeline; it takes no longer than a second or two, whatever the pipeline does. Whoever reads its pictures
// has stopped before.
func (s *Stream) Close() {
	s.stop()
	<-s.ended
	s.wakeIn.Close()
	s.wakeOut.Close()
	s.frames.Close()
	<-s.relayed
}

// wakeWidth and wakeHeight are the size of the picture that Wake sends.
const wakeWidth, wakeHeight = 2, 1

// Counts and Grey are the formats of pictures in Pictures.
const (
	Counts = "GRAY16_LE"
	Grey   = "GRAY8"
)

// Pictures is the pipeline, for within the program, that delivers the stream's pictures to an appsink: as they are, where
// as is empty (16-bit grey and two planes are), or converted. A pipeline in OpenCV 4.6 waits for its next buffer without
// end, and so it does when it starts. Wake ends the wait.
func (s *Stream) Pictures(as string) string {
	convert, formats, format, size := "", "GRAY16_LE,YUY2", Counts, 2*wakeWidth*wakeHeight
	if as != "" {
		convert, formats = " ! videoconvert ! video/x-raw,format="+as, as
	}
	if as == Grey {
		format, size = Grey, wakeWidth*wakeHeight
	}
	return fmt.Sprintf("fdsrc fd=%d ! gdpdepay%s ! funnel name=thermogate ! video/x-raw,format=(string){%s}"+
		" ! appsink sync=false drop=true max-buffers=2"+
		" fdsrc fd=%d blocksize=%d ! video/x-raw,format=%s,width=%d,height=%d,framerate=0/1 ! thermogate.",
		s.frames.Fd(), convert, formats, s.wakeOut.Fd(), size, format, wakeWidth, wakeHeight)
}

// Wake has the pipeline of Pictures deliver a tiny picture, or more than one of the smaller format.
func (s *Stream) Wake() { s.wakeIn.Write(make([]byte, 2*wakeWidth*wakeHeight)) }

// IsWake tells a picture of Wake by its size.
func IsWake(width, height int) bool { return width == wakeWidth && height == wakeHeight }

// These match the lines in which gst-launch-1.0 says what went wrong, what it goes on with all the same, and which format
// arrived.
var (
	launchError   = regexp.MustCompile(`^(?:ERROR: from element \S+: |WARNING: erroneous pipeline: |ERROR: )(.+)$`)
	launchWarning = regexp.MustCompile(`^WARNING: from element \S+: (.+)$`)
	launchFormat  = regexp.MustCompile(`:thermogate\.GstPad:sink: caps = (video/x-raw.*format=\(string\)(\w+)|[\w/-]+)`)
)

// launchLog keeps of what gst-launch-1.0 prints what is needed. Some pipelines print warnings without end.
type launchLog struct {
	told chan struct{} // closed once the format is known

	mu   sync.Mutex
	line []byte // the begin of the one that is not over
	launchNews
}

// launchNews is the format of the pictures, what went wrong first, and what was warned of last.
type launchNews struct{ format, reason, warning string }

// longestLine is enough for the format of a picture.
const longestLine = 4096

func (l *launchLog) Write(printed []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest, over := printed, true; over; {
		var line []byte
		line, rest, over = bytes.Cut(rest, []byte("\n"))
		l.line = append(l.line, line[:min(len(line), longestLine-len(l.line))]...)
		if over {
			l.read(l.line)
			l.line = l.line[:0]
		}
	}
	return len(printed), nil
}

// fail says what went wrong, unless something did before.
func (l *launchLog) fail(reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reason = cmp.Or(l.reason, reason)
}

func (l *launchLog) read(line []byte) {
	line = []byte(bounded.Printable(string(line))) // senders have a say in some
	if found := launchError.FindSubmatch(line); found != nil && l.reason == "" {
		l.reason = string(bytes.TrimRight(found[1], ". "))
	} else if found := launchWarning.FindSubmatch(line); found != nil {
		l.warning = string(bytes.TrimRight(found[1], ". "))
	} else if found := launchFormat.FindSubmatch(line); found != nil && l.format == "" {
		if l.format = string(found[2]); l.format == "" {
			l.format = string(found[1])
		}
		close(l.told)
	}
}

// seen is what has been told so far.
func (l *launchLog) seen() launchNews {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.launchNews
}
