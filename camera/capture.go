package camera

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"gocv.io/x/gocv"
	"golang.org/x/sys/unix"

	"thermogate/camera/gst"
	"thermogate/camera/v4l2"
)

// firstFrame is how long a source may take from opening to its first picture. RTSP cameras need up to three seconds.
const firstFrame = 5 * time.Second

var errSilent = fmt.Errorf("no picture came within %v; is the sender running?", firstFrame)

// capture is a live camera behind OpenCV's VideoCapture.
type capture struct {
	uri     string
	device  *gocv.VideoCapture
	mat     gocv.Mat
	stream  *gst.Stream     // nil for a V4L2 device
	watched <-chan struct{} // of the context whose end wakes the stream
	stop    func() bool     // stops watching it
	decoder decoder
	info    Info

	first         Frame // read while opening, handed out first
	hasFirst      bool
	width, height int // as the camera delivers them
	delivered     int
}

func newCapture(uri string, device *gocv.VideoCapture, options Options) *capture {
	c := &capture{uri: uri, device: device, mat: gocv.NewMat(), stop: func() bool { return true }}
	c.decoder = decoder{turn: options.Orientation, allowEightBit: options.EightBit}
	c.info = Info{Name: Masked(uri), FPS: cmp.Or(options.FPS, defaultFPS), Live: true}
	return c
}

// telemetryWithin is in how many pictures a camera has to send the telemetry it was asked for.
const telemetryWithin = 10

// start waits for the first picture, which tells what the camera delivers. The options are what somebody said of it.
func (c *capture) start(ctx context.Context, options Options) error {
	ctx, cancel := context.WithTimeoutCause(ctx, firstFrame, errSilent)
	defer cancel()
	for range telemetryWithin {
		c.info.Units = ""
		calibrate(&c.info, options.Units, options.Linear, options.Planck)
		if err := c.Read(ctx, &c.first); err != nil {
			return err
		}
		if !c.decoder.asked || c.first.Telemetry != nil {
			break
		}
	}
	c.hasFirst = true
	return nil
}

func (c *capture) Info() Info { return c.info }

func (c *capture) Close() error {
	c.mat.Close()
	err := c.device.Close()
	if c.stream != nil {
		c.stop()
		c.stream.Close()
	}
	return err
}

// Read waits for the next picture. A pipeline notices at once that ctx is done, a V4L2 device at its next picture or when
// OpenCV gives it up after 10 s.
func (c *capture) Read(ctx context.Context, frame *Frame) error {
	if c.hasFirst {
		*frame, c.first = c.first, Frame{}
		c.hasFirst = false
		return nil
	}
	c.wakeAfter(ctx)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !undisturbed(func() bool { return c.device.Read(&c.mat) }) || c.mat.Empty() {
			return c.over()
		}
		if c.stream == nil || !gst.IsWake(c.mat.Cols(), c.mat.Rows()) {
			break
		}
	}
	frame.Captured = time.Now()
	frame.Index = c.delivered
	c.delivered++
	if err := c.convert(frame); err != nil {
		return fmt.Errorf("camera %s: %w", c.info.Name, err)
	}
	return nil
}

// wakeAfter ends the wait for a picture when ctx is done. Asked for the same context again it costs nothing.
func (c *capture) wakeAfter(ctx context.Context) {
	if c.stream == nil || c.watched == ctx.Done() {
		return
	}
	c.stop()
	c.watched = ctx.Done()
	c.stop = context.AfterFunc(ctx, c.stream.Wake)
}

// over says why there are no more pictures.
func (c *capture) over() error {
	if c.stream != nil && c.stream.Err() != nil {
		return masked(c.uri, fmt.Errorf("camera %s: %w", c.uri, c.stream.Err()))
	}
	return fmt.Errorf("camera %s delivers no more pictures", c.info.Name)
}

// undisturbed calls OpenCV where no signal reaches it: OpenCV 4.6 waits for a V4L2 device with a select that it gives up when
// it is interrupted, and Go interrupts its threads all the time.
func undisturbed(read func() bool) bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i]--
	}
	for _, fault := range []unix.Signal{unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGABRT, unix.SIGTRAP} {
		all.Val[0] &^= 1 << (fault - 1)
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, &before); err == nil {
		defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	}
	return read()
}

func (c *capture) convert(frame *Frame) error {
	width, height := c.mat.Cols(), c.mat.Rows()
	if c.width != 0 && (c.width != width || c.height != height) {
		return fmt.Errorf("the pictures changed from %d by %d pixels to %d by %d", c.width, c.height, width, height)
	}
	c.width, c.height = width, height
	held, err := c.decoder.decode(&c.mat, frame)
	if err != nil {
		return err
	}
	frame.SinceFFC = sinceFFC(frame.Telemetry)
	switch held {
	case eightBit:
		c.info.Units = unitsGrey8
	case disguised:
		layout, _ := yuyvLayout(&c.mat)
		c.info.Units = cmp.Or(c.info.Units, layout.Units, unitsCounts)
	default:
		c.info.Units, err = agreeUnits(c.info.Units, frame.Telemetry)
	}
	return err
}

// openV4L2 opens a USB camera in the mode that says most of temperatures.
func openV4L2(ctx context.Context, path string, options Options) (*capture, error) {
	c, err := startV4L2(ctx, path, options)
	if err != nil {
		return nil, fmt.Errorf("opening camera %s: %w", path, err)
	}
	return c, nil
}

func startV4L2(ctx context.Context, path string, options Options) (*capture, error) {
	if err := checkDevice(path); err != nil {
		return nil, err
	}
	offered := v4l2.Query(path)
	if offered.Err != nil {
		return nil, offered.Err
	}
	mode, layout, measures := offered.Best()
	switch {
	case measures:
		if err := checkRows(path, mode); err != nil {
			return nil, err
		}
	case !options.EightBit:
		return nil, fmt.Errorf("it delivers %s: %w", offered.Offers(), errEightBit)
	}
	device, err := gocv.VideoCaptureFileWithAPI(path, gocv.VideoCaptureV4L2)
	if err != nil {
		device.Close()
		return nil, errors.New("it does not open; another program may use it")
	}
	if measures {
		if err := ask(device, mode); err != nil {
			device.Close()
			return nil, err
		}
	}
	if layout.Calibration && offered.MaxZoom >= xthermCounts {
		device.Set(gocv.VideoCaptureZoom, xthermCounts)
	}
	if options.FPS > 0 {
		device.Set(gocv.VideoCaptureFPS, options.FPS)
	}
	c := newCapture(path, device, options)
	c.decoder.asked = layout.Telemetry
	c.info.Model = offered.Name
	if fps := device.Get(gocv.VideoCaptureFPS); checkFPS(fps) == nil {
		c.info.FPS = fps
	}
	if err := c.start(ctx, options); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// xthermCounts is the zoom, far beyond any real one, by which an Xtherm T2S+ or HT-301 is told to deliver counts and not a
// rendered picture (github.com/stawel/ht301_hacklib).
const xthermCounts = 0x8004

// ask sets the mode. Left to itself, OpenCV asks for 640x480 and gets what the driver thinks is nearest.
func ask(device *gocv.VideoCapture, mode v4l2.Mode) error {
	device.Set(gocv.VideoCaptureConvertRGB, 0)
	device.Set(gocv.VideoCaptureFOURCC, device.ToCodec(mode.Code))
	device.Set(gocv.VideoCaptureFrameWidth, float64(mode.Width))
	device.Set(gocv.VideoCaptureFrameHeight, float64(mode.Height))
	got := v4l2.Mode{Code: device.CodecString(), Size: v4l2.Size{
		Width: int(device.Get(gocv.VideoCaptureFrameWidth)), Height: int(device.Get(gocv.VideoCaptureFrameHeight))}}
	if got != mode {
		return fmt.Errorf("it was asked for %s and delivers %s; another program may use it", mode, got)
	}
	return nil
}

// checkRows refuses rows with something behind their pixels: OpenCV 4.6 takes the bytes of a picture as they come.
func checkRows(path string, mode v4l2.Mode) error {
	rowBytes, err := v4l2.RowBytes(path, mode)
	if err != nil {
		return err
	}
	if want := 2 * mode.Width; rowBytes != 0 && rowBytes != want {
		format := map[string]string{"Y16 ": gst.Counts, "YUYV": "YUY2"}[mode.Code]
		return fmt.Errorf("its driver pads the rows of %s from %d to %d bytes, which are not read; try "+
			"whether GStreamer does: gst:v4l2src device=%s ! video/x-raw,format=%s,width=%d,height=%d", mode, want, rowBytes, path, format, mode.Width, mode.Height)
	}
	return nil
}

// checkDevice tells what is no device before anybody opens it: opening some other file may do something.
func checkDevice(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no such device; is the camera plugged in? `ls /dev/video*` lists what there is")
	}
	if err != nil {
		return WithoutPath(err)
	}
	if info.Mode()&fs.ModeCharDevice == 0 {
		return errors.New("it is no device")
	}
	return nil
}

// ownSink matches the appsink at the end of a pipeline.
var ownSink = regexp.MustCompile(`!\s*appsink\b[^!]*$`)

// openPipeline opens a GStreamer pipeline and waits for its first picture.
func openPipeline(ctx context.Context, pipeline string, options Options) (*capture, error) {
	pipeline = strings.TrimRight(ownSink.ReplaceAllString(pipeline, ""), " \t\n!")
	if pipeline == "" {
		return nil, errors.New("opening camera gst: the pipeline is empty; write gst:ELEMENT ! ELEMENT")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, firstFrame, errSilent)
	defer cancel()
	c, err := startPipeline(ctx, pipeline, options)
	if err != nil {
		return nil, fmt.Errorf("opening camera gst:%s: %w", pipeline, err)
	}
	return c, nil
}

func startPipeline(ctx context.Context, pipeline string, options Options) (*capture, error) {
	stream, err := gst.Start(ctx, pipeline)
	if err != nil {
		return nil, err
	}
	as, err := conversion(stream.Format(), options.EightBit)
	if err != nil {
		stream.Close()
		return nil, err
	}
	stream.Wake() // opening waits for a picture, too
	device, err := gocv.VideoCaptureFileWithAPI(stream.Pictures(as), gocv.VideoCaptureGstreamer)
	if err != nil {
		device.Close()
		err := cmp.Or(stream.Err(), errors.New("OpenCV does not take over its pictures; has it been built with GStreamer?"))
		stream.Close()
		return nil, err
	}
	c := newCapture("gst:"+pipeline, device, options)
	c.stream = stream
	if err := c.start(ctx, options); err != nil {
		c.Close()
		return nil, stream.Waiting(err)
	}
	return c, nil
}

// conversion says what the pictures of a pipeline have to be converted to, if anything.
func conversion(format string, eightBit bool) (as string, err error) {
	switch {
	case format == gst.Counts, format == "YUY2" && !eightBit: // YUY2 may be two planes
		return "", nil
	case format == "GRAY16_BE":
		return gst.Counts, nil
	case strings.Contains(format, "/"):
		return "", fmt.Errorf("the pipeline ends in %s; it has to end in video/x-raw,format=%s", format, gst.Counts)
	case eightBit:
		return gst.Grey, nil
	}
	return "", fmt.Errorf("it delivers %s: %w", format, errEightBit)
}

// devicePath returns the path of a V4L2 device that uri names.
func devicePath(uri string) (string, bool) {
	path, isV4L2 := strings.CutPrefix(uri, "v4l2://")
	if matched, _ := filepath.Match("/dev/video[0-9]*", path); isV4L2 || matched {
		return path, true
	}
	return "", false
}
