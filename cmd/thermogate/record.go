package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"thermogate/camera"
	"thermogate/camera/clip"
	"thermogate/cmd/internal/program"
)

func newRecordCommand() *cobra.Command {
	var configPath string
	var length duration
	var source sourceFlags
	command := &cobra.Command{
		Use:   "record OUT.tiff",
		Short: "A clip of the camera, for replay and for bug reports",
		Long: `Record writes what the camera of the config delivers to OUT.tiff, and beside it OUT.json with times, shutter events, units,
orientation and reference. thermogate replay OUT.tiff gives the verdicts that the gate would have given.
It ends with Ctrl-C or after --duration; the clip is complete, too, if the camera goes away or the disk is full.
A clip shows people: whoever has it can see who was there.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := source.options()
			if err != nil {
				return err
			}
			c, err := loadConfig(configPath)
			if err != nil {
				return err
			}
			if c.Camera.URI == "" {
				return program.Usage(errors.New("no camera: set camera.uri in the config, and name that with -c"))
			}
			if _, err := clip.SidecarPath(args[0]); err != nil {
				return program.Usage(fmt.Errorf("%s: %w", args[0], err))
			}
			r := clipRecorder{config: c, options: c.Camera.options(options), length: time.Duration(length),
				out: cmd.OutOrStdout(), says: cmd.ErrOrStderr(), progress: progressOf(cmd.ErrOrStderr())}
			return r.record(cmd.Context(), args[0])
		},
	}
	command.Flags().StringVarP(&configPath, "config", "c", "", "config file of the gate")
	command.Flags().Var(&length, "duration", "how long, such as 30s or 5m; without it, until Ctrl-C")
	source.bind(command.Flags())
	return command
}

// clipRecorder writes a clip of the camera of a config.
type clipRecorder struct {
	config  config
	options camera.Options
	length  time.Duration // 0 is until ctx is done

	out, says, progress io.Writer
}

func (r *clipRecorder) record(ctx context.Context, path string) error {
	source, err := r.open(ctx)
	if err != nil {
		return err
	}
	var first camera.Frame
	if err := source.Read(ctx, &first); err != nil {
		return errors.Join(err, source.Close())
	}
	info := source.Info()
	if err := r.foretell(info, &first); err != nil {
		return errors.Join(err, source.Close())
	}
	w, err := clip.Create(path, describe(r.config, info, r.options.Orientation))
	if err != nil {
		return program.Usage(errors.Join(err, source.Close()))
	}
	if r.length > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, r.length)
		defer stop()
	}
	frames := queueUp(ctx, source, first)
	err = r.write(ctx, w, frames)
	fmt.Fprint(r.progress, "\r\x1b[K")
	err = errors.Join(err, w.Close())
	fmt.Fprintf(r.out, "%s: %d frames, %.1f s, %s\n", path, w.Frames(), w.Length().Seconds(), megabytes(w.Bytes()))
	if missing := frames.missing.Load(); missing > 0 {
		fmt.Fprintf(r.says, "%d frames are missing: the disk was too slow for them\n", missing)
	}
	return err
}

// open opens the camera, and says what to do where the gate has it.
func (r *clipRecorder) open(ctx context.Context) (camera.Source, error) {
	uri := r.config.Camera.URI
	source, err := openLive(ctx, uri, r.options)
	if err == nil {
		return source, nil
	}
	if a, askErr := askInside(ctx, r.config.HTTP, "/readyz"); askErr == nil && a.otherThan(r.config.identity()) == nil {
		return nil, fmt.Errorf("the gate of this config runs, and has the camera: stop it to record, or have it keep clips "+
			"of alerts itself (clips.around_alerts): %w", err)
	}
	return nil, err
}

// describe is what a clip of the gate's camera says of it.
func describe(c config, info camera.Info, orientation camera.Orientation) clip.Description {
	if t := c.Measure.ReferenceCelsius; t != nil {
		info.ReferenceCelsius, info.ReferenceKnown = t, true
	}
	return clip.Description{Info: info, Orientation: orientation}
}

// write takes frames until ctx is done, the camera ends or the disk takes no more.
func (r *clipRecorder) write(ctx context.Context, w *clip.Writer, frames *frameQueue) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case frame, more := <-frames.full:
			if !more {
				return frames.err
			}
			if err := w.Add(&frame); err != nil {
				return fmt.Errorf("the clip ends early, and is complete up to here: %w", err)
			}
			frames.free <- frame
			fmt.Fprintf(r.progress, "\r%.0f s, %d frames, %s", w.Length().Seconds(), w.Frames(), megabytes(w.Bytes()))
		}
	}
}

// foretell says how large the clip gets.
func (r *clipRecorder) foretell(info camera.Info, frame *camera.Frame) error {
	rate := float64(clip.PageBytes(frame.Width, frame.Height)) * info.FPS // bytes a second
	most := time.Duration(clip.LargestBytes / rate * float64(time.Second)).Truncate(time.Second)
	if r.length > most {
		return program.Usage(fmt.Errorf("--duration %v: a clip of this camera can last %v, for a TIFF file ends at 4 GiB", r.length, most))
	}
	until := fmt.Sprintf("Ctrl-C ends it; a file ends by itself after %v, at 4 GiB", most)
	if r.length > 0 {
		until = fmt.Sprintf("%s in %v", megabytes(int64(rate*r.length.Seconds())), r.length)
	}
	fmt.Fprintf(r.says, "recording %d×%d pixels, %.1f frames a second: %s a minute; %s\n",
		frame.Width, frame.Height, info.FPS, megabytes(int64(60*rate)), until)
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// queueBytes is how much the disk may be behind the camera.
const queueBytes = 64 << 20

// frameQueue reads a camera on while the disk is busy, and keeps nobody waiting for a driver that hangs.
type frameQueue struct {
	full    chan camera.Frame // closed when the camera delivers no more
	free    chan camera.Frame // memory to use again
	missing atomic.Int64      // frames that found no place
	err     error             // why the camera delivers no more, nil at the end of a recording; once full is closed
}

// queueUp queues the first frame and all that source delivers until ctx is done, and then closes it.
func queueUp(ctx context.Context, source camera.Source, first camera.Frame) *frameQueue {
	places := min(max(queueBytes/(2*len(first.Counts)), 4), 256)
	q := &frameQueue{full: make(chan camera.Frame, places), free: make(chan camera.Frame, places)}
	for range places - 1 {
		q.free <- camera.Frame{}
	}
	q.full <- first
	go func() {
		defer close(q.full)
		defer source.Close()
		q.err = q.fill(ctx, source)
	}()
	return q
}

func (q *frameQueue) fill(ctx context.Context, source camera.Source) error {
	var spare camera.Frame
	for {
		frame, missing := spare, false
		select {
		case frame = <-q.free:
		default:
			missing = true
		}
		if err := source.Read(ctx, &frame); errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		if missing {
			spare = frame
			q.missing.Add(1)
			continue
		}
		q.full <- frame
	}
}
