package camera

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"gocv.io/x/gocv"
)

// firstFrame is how long a source may take from opening to its first picture. RTSP cameras need up to three seconds.
const firstFrame = 5 * time.Second

// capture is a live camera behind OpenCV's VideoCapture.
type capture struct {
	uri     string
	device  *gocv.VideoCapture
	mat     gocv.Mat
	waker   *waker // nil where the camera has a time limit of its own
	decoder decoder
	held    pixels
	info    Info

	first         Frame // read while opening, handed out first
	hasFirst      bool
	width, height int // as the camera delivers them
	delivered     int
}

func newCapture(uri string, device *gocv.VideoCapture, options Options) *capture {
	c := &capture{uri: uri, device: device, mat: gocv.NewMat()}
	c.decoder = decoder{turn: options.Orientation, allowEightBit: options.EightBit}
	c.info = Info{Name: uri, FPS: cmp.Or(options.FPS, defaultFPS), Live: true}
	return c
}

// start waits for the first picture, which tells what the camera delivers.
func (c *capture) start(ctx context.Context, options Options) error {
	ctx, cancel := context.WithTimeout(ctx, firstFrame)
	defer cancel()
	if err := c.Read(ctx, &c.first); err != nil {
		return err
	}
	c.hasFirst = true
	switch {
	case c.held == eightBit:
		c.info.Units = unitsGrey8
	case calibrate(&c.info, options.Units, options.Linear, options.Planck):
	case c.held == twoPlane:
		c.info.Units = unitsKelvin64
	default:
		c.info.Units = unitsCounts
	}
	return nil
}

func (c *capture) Info() Info { return c.info }

func (c *capture) Close() error {
	c.mat.Close()
	err := c.device.Close()
	c.waker.close()
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
	c.waker.watch(ctx)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !c.device.Read(&c.mat) || c.mat.Empty() {
			return fmt.Errorf("camera %s delivers no more pictures", c.uri)
		}
		if !isWake(&c.mat) {
			break
		}
	}
	frame.Captured = time.Now()
	frame.SinceFFC = -1
	frame.Index = c.delivered
	c.delivered++
	if err := c.convert(frame); err != nil {
		return fmt.Errorf("camera %s: %w", c.uri, err)
	}
	return nil
}

func (c *capture) convert(frame *Frame) error {
	width, height := c.mat.Cols(), c.mat.Rows()
	if c.width != 0 && (c.width != width || c.height != height) {
		return fmt.Errorf("the pictures changed from %d by %d pixels to %d by %d", c.width, c.height, width, height)
	}
	c.width, c.height = width, height
	var err error
	c.held, err = c.decoder.decode(&c.mat, frame)
	return err
}

// openV4L2 opens a USB camera that delivers Y16 or two planes.
func openV4L2(ctx context.Context, path string, options Options) (*capture, error) {
	if err := checkDevice(path); err != nil {
		return nil, fmt.Errorf("opening camera %s: %w", path, err)
	}
	device, err := gocv.VideoCaptureFileWithAPI(path, gocv.VideoCaptureV4L2)
	if err != nil {
		device.Close()
		return nil, fmt.Errorf("opening camera %s: it is no camera, or another program uses it", path)
	}
	if !options.EightBit {
		askFor16Bit(device)
	}
	if options.FPS > 0 {
		device.Set(gocv.VideoCaptureFPS, options.FPS)
	}
	c := newCapture(path, device, options)
	c.info.Model = queryDevice(path).Name
	if fps := device.Get(gocv.VideoCaptureFPS); checkFPS(fps) == nil {
		c.info.FPS = fps
	}
	if err := c.start(ctx, options); err != nil {
		format := device.CodecString()
		c.Close()
		if errors.Is(err, errEightBit) {
			return nil, fmt.Errorf("opening camera %s: it delivers %s, 8-bit pictures without temperatures; "+
				"a camera with Y16 or two planes (256x384) is needed", path, format)
		}
		return nil, err
	}
	return c, nil
}

// askFor16Bit asks for Y16, or for the two planes that some cameras declare as a YUYV picture.
func askFor16Bit(device *gocv.VideoCapture) {
	device.Set(gocv.VideoCaptureConvertRGB, 0)
	device.Set(gocv.VideoCaptureFOURCC, device.ToCodec("Y16 "))
	if device.CodecString() != "Y16 " {
		device.Set(gocv.VideoCaptureFOURCC, device.ToCodec("YUYV"))
		device.Set(gocv.VideoCaptureFrameWidth, 256)
		device.Set(gocv.VideoCaptureFrameHeight, 384)
	}
}

func checkDevice(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no such device; is the camera plugged in? `ls /dev/video*` lists what there is")
	}
	if err != nil {
		return plain(err)
	}
	if info.Mode()&fs.ModeCharDevice == 0 {
		return errors.New("it is no device")
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrPermission) {
		return errors.New("permission denied; add this user to the group video")
	}
	if err != nil {
		return plain(err)
	}
	return file.Close()
}

// ownSink matches the appsink at the end of a pipeline.
var ownSink = regexp.MustCompile(`!\s*appsink\b[^!]*$`)

// openPipeline opens a GStreamer pipeline and waits for its first picture.
func openPipeline(ctx context.Context, pipeline string, options Options) (*capture, error) {
	pipeline = strings.TrimRight(ownSink.ReplaceAllString(pipeline, ""), " \t\n!")
	if pipeline == "" {
		return nil, errors.New("opening camera gst: the pipeline is empty; write gst:ELEMENT ! ELEMENT")
	}
	c, err := startPipeline(ctx, pipeline, options)
	if err != nil {
		return nil, fmt.Errorf("opening camera gst:%s: %w", pipeline, err)
	}
	return c, nil
}

func startPipeline(ctx context.Context, pipeline string, options Options) (*capture, error) {
	format, err := tryPipeline(ctx, pipeline)
	if err != nil {
		return nil, err
	}
	uri, formats := "gst:"+pipeline, formats16
	switch {
	case format == "GRAY16_LE", format == "YUY2" && !options.EightBit: // YUY2 may be two planes
	case format == "GRAY16_BE":
		pipeline += " ! videoconvert ! video/x-raw,format=GRAY16_LE"
	case options.EightBit:
		pipeline += " ! videoconvert ! video/x-raw,format=GRAY8"
		formats = formats8
	default:
		return nil, fmt.Errorf("it delivers %s: %w", format, errEightBit)
	}
	pipe, err := newWaker()
	if err != nil {
		return nil, err
	}
	pipe.wake() // opening waits for a picture, too
	device, err := gocv.VideoCaptureFileWithAPI(pipeline+pipelineTail(formats, pipe.out.Fd()), gocv.VideoCaptureGstreamer)
	if err != nil {
		device.Close()
		pipe.close()
		return nil, errors.New("the pipeline ran once and does not start again")
	}
	c := newCapture(uri, device, options)
	c.waker = pipe
	if err := c.start(ctx, options); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// launchReason matches the line in which gst-launch-1.0 says what went wrong, launchFormat the format that arrived.
var (
	launchReason = regexp.MustCompile(`(?m)^(?:ERROR: from element \S+: |WARNING: erroneous pipeline: |ERROR: )(.+)$`)
	launchFormat = regexp.MustCompile(`:thermogate\.GstPad:sink: caps = video/x-raw.*format=\(string\)(\w+)`)
)

// tryPipeline waits for one buffer of a pipeline and returns its format, such as GRAY16_LE. It runs in a process of its
// own: OpenCV 4.6 frees a pipeline that fails to start while its threads still run, which ends the program, and does
// not say why it failed.
func tryPipeline(ctx context.Context, pipeline string) (format string, err error) {
	limited, cancel := context.WithTimeout(ctx, firstFrame)
	defer cancel()
	arguments := append([]string{"-v"}, strings.Fields(pipeline+" ! fakesink name=thermogate num-buffers=1 sync=false")...)
	command := exec.CommandContext(limited, "gst-launch-1.0", arguments...)
	command.Env = append(os.Environ(), "LC_ALL=C")
	command.WaitDelay = time.Second
	output, err := command.CombinedOutput()
	reason, formats := launchReason.FindSubmatch(output), launchFormat.FindSubmatch(output)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return "", errors.New("gst-launch-1.0 is missing; install the package gstreamer1.0-tools")
	case limited.Err() != nil:
		return "", fmt.Errorf("no picture came within %v; is the sender running?", firstFrame)
	case reason != nil:
		return "", fmt.Errorf("%s; is the camera on, and is the pipeline right?", bytes.TrimRight(reason[1], ". "))
	case err != nil:
		return "", fmt.Errorf("gst-launch-1.0: %w", err)
	case formats == nil:
		return "", errors.New("the pipeline does not end in video/x-raw,format=GRAY16_LE")
	}
	return string(formats[1]), nil
}

// A GStreamer pipeline in OpenCV 4.6 waits for its next buffer without end and can't be told to stop. So a pipe leads
// into the same sink: a tiny picture written to it ends the wait.
const wakeWidth, wakeHeight = 2, 1

// formats16 are what a measuring camera delivers: counts, or two planes that pass for a picture.
const formats16, formats8 = "GRAY16_LE,YUY2", "GRAY8"

// pipelineTail ends a pipeline. The pictures that end a wait come from the file descriptor fd, in the first format.
func pipelineTail(formats string, fd uintptr) string {
	format, size := "GRAY16_LE", 2*wakeWidth*wakeHeight
	if formats == formats8 {
		format, size = "GRAY8", wakeWidth*wakeHeight
	}
	return fmt.Sprintf(" ! funnel name=thermogate ! video/x-raw,format=(string){%s} ! appsink sync=false drop=true max-buffers=2"+
		" fdsrc fd=%d blocksize=%d ! video/x-raw,format=%s,width=%d,height=%d,framerate=0/1 ! thermogate.",
		formats, fd, size, format, wakeWidth, wakeHeight)
}

func isWake(mat *gocv.Mat) bool { return mat.Cols() == wakeWidth && mat.Rows() == wakeHeight }

// waker ends the wait for a picture when a context is done.
type waker struct {
	in, out *os.File
	done    <-chan struct{} // of the context that is watched
	stop    func() bool     // stops watching
}

func newWaker() (*waker, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &waker{in: in, out: out, stop: func() bool { return true }}, nil
}

// watch wakes the camera when ctx is done. Watching the same context again costs nothing.
func (w *waker) watch(ctx context.Context) {
	if w == nil || w.done == ctx.Done() {
		return
	}
	w.stop()
	w.done = ctx.Done()
	w.stop = context.AfterFunc(ctx, w.wake)
}

// wake writes one picture, more than one of the smaller formats.
func (w *waker) wake() {
	w.in.Write(make([]byte, 2*wakeWidth*wakeHeight))
}

func (w *waker) close() {
	if w == nil {
		return
	}
	w.stop()
	w.in.Close()
	w.out.Close()
}

// devicePath returns the path of a V4L2 device that uri names.
func devicePath(uri string) (string, bool) {
	path, isV4L2 := strings.CutPrefix(uri, "v4l2://")
	if matched, _ := filepath.Match("/dev/video[0-9]*", path); isV4L2 || matched {
		return path, true
	}
	return "", false
}
