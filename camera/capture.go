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
	"strings"
	"time"

	"gocv.io/x/gocv"

	"thermogate/camera/gst"
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
	held    pixels
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

// start waits for the first picture, which tells what the camera delivers.
func (c *capture) start(ctx context.Context, units string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, firstFrame, errSilent)
	defer cancel()
	if err := c.Read(ctx, &c.first); err != nil {
		return err
	}
	c.hasFirst = true
	switch {
	case c.held == eightBit:
		c.info.Units = unitsGrey8
	case units != "":
		c.info.Units = units
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
		if !c.device.Read(&c.mat) || c.mat.Empty() {
			return c.over()
		}
		if c.stream == nil || !gst.IsWake(c.mat.Cols(), c.mat.Rows()) {
			break
		}
	}
	frame.Captured = time.Now()
	frame.SinceFFC = -1
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
	if err := c.start(ctx, options.Units); err != nil {
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
	if err := c.start(ctx, options.Units); err != nil {
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
