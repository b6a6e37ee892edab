package clip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"thermogate/camera"
)

// Config says whether the seconds around alerts are kept, and for how long.
type Config struct {
	// AroundAlerts switches it on.
	AroundAlerts bool `yaml:"around_alerts"`
	// Before and After an alert: what of the camera is kept.
	Before time.Duration `yaml:"before"`
	After  time.Duration `yaml:"after"`
	// MaxAgeDays, MaxCount and MaxSizeMiB bound what is kept; the oldest clips go.
	MaxAgeDays int `yaml:"max_age_days"`
	MaxCount   int `yaml:"max_count"`
	MaxSizeMiB int `yaml:"max_size_mib"`
}

// DefaultConfig keeps nothing.
func DefaultConfig() Config {
	return Config{Before: 5 * time.Second, After: 5 * time.Second, MaxAgeDays: 7, MaxCount: 100, MaxSizeMiB: 512}
}

// Validate names the first impossible key.
func (c Config) Validate() error {
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"before", c.Before}, {"after", c.After}} {
		if d.value < 0 || d.value > time.Minute {
			return fmt.Errorf("%s is %s; it must be 0s to 1m", d.key, d.value)
		}
	}
	for _, n := range []struct {
		key         string
		value, most int
	}{{"max_age_days", c.MaxAgeDays, 3650}, {"max_count", c.MaxCount, 100_000}, {"max_size_mib", c.MaxSizeMiB, 1 << 20}} {
		if n.value < 1 || n.value > n.most {
			return fmt.Errorf("%s is %d; it must be 1 to %d", n.key, n.value, n.most)
		}
	}
	return nil
}

const (
	// memoryBytes bounds the pictures in memory: half a minute of 640 by 512 pixels at 9 frames a second.
	memoryBytes = 96 << 20
	// writing is how much longer than Before pictures stay in memory: the time that the disk has for them.
	writing = 5 * time.Second
	// silence is how long no picture may come until a clip ends.
	silence = 5 * time.Second
	// longest is where a clip ends that alert after alert makes longer; the next one goes on.
	longest = 2 * time.Minute
	// leftFreeBytes is what clips leave free on the disk: events come first.
	leftFreeBytes = 256 << 20
	// tidying is how often old clips are looked for.
	tidying = time.Hour
)

// Keeper keeps clips of the seconds around alerts in a folder. Giving it a frame costs a copy in memory, whatever the disk
// does; only the newest frames are in memory, and where the disk is too slow for them, frames are missing from the clip.
type Keeper struct {
	config Config
	folder string
	log    *slog.Logger
	alerts chan alert
	fresh  chan struct{} // holds a token while a frame may be waiting

	mu          sync.Mutex
	description Description
	frames      []camera.Frame // oldest first
	bytes       int
	first       int // number of frames[0]; frames count up for good
	cameras     int // how many there have been
}

// alert is an event to keep a clip for.
type alert struct {
	id string
	at time.Time
}

// NewKeeper keeps clips in a folder, once Run runs.
func NewKeeper(config Config, folder string, log *slog.Logger) *Keeper {
	return &Keeper{config: config, folder: folder, log: log, alerts: make(chan alert, 64), fresh: make(chan struct{}, 1)}
}

// SetCamera says of which camera the next frames are. A clip under way ends.
func (k *Keeper) SetCamera(d Description) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.description = d
	k.first += len(k.frames)
	k.frames, k.bytes = nil, 0
	k.cameras++
}

// See takes a copy of a frame.
func (k *Keeper) See(frame *camera.Frame) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var counts []uint16 // memory of what is forgotten
	size := 2 * len(frame.Counts)
	for len(k.frames) > 0 && (k.bytes+size > memoryBytes || frame.Captured.Sub(k.frames[0].Captured) > k.config.Before+writing) {
		counts = k.frames[0].Counts
		k.bytes -= 2 * len(counts)
		k.frames = slices.Delete(k.frames, 0, 1)
		k.first++
	}
	kept := *frame
	kept.Counts = append(counts[:0], frame.Counts...)
	k.frames = append(k.frames, kept)
	k.bytes += size
	select {
	case k.fresh <- struct{}{}:
	default:
	}
}

// Keep has the seconds around an alert kept. It does not wait.
func (k *Keeper) Keep(id string, at time.Time) {
	select {
	case k.alerts <- alert{id, at}:
	default:
		k.log.Warn("no clip is kept of an alert: too many at once", "event", id)
	}
}

// Run writes the clips until ctx is done; one under way is then complete, with what it has.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(tidying)
	defer tick.Stop()
	k.tidy()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.tidy()
		case a := <-k.alerts:
			k.keep(ctx, a)
			k.tidy()
		}
	}
}

// keep writes the clip of an alert, and of those that come meanwhile.
func (k *Keeper) keep(ctx context.Context, a alert) {
	reel := k.reelFrom(a.at.Add(-k.config.Before))
	w, err := k.create(a, reel.description)
	if err != nil {
		k.log.Error("no clip is kept of an alert", "event", a.id, "error", err)
		return
	}
	w.About(a.id)
	err = k.write(ctx, w, a, reel)
	if err := errors.Join(err, w.Close()); err != nil {
		k.log.Error("the clip of an alert ends early", "clip", w.path, "event", a.id, "frames", w.Frames(), "error", err)
		return
	}
	k.log.Info("clip of an alert kept", "clip", w.path, "event", a.id, "seconds", w.Length().Seconds(), "frames_missing", reel.missing)
}

// create begins a clip, named by its time and the alert's id, unless events need the space.
func (k *Keeper) create(a alert, d Description) (*Writer, error) {
	if err := os.MkdirAll(k.folder, 0o700); err != nil {
		return nil, err
	}
	if err := k.room(); err != nil {
		return nil, err
	}
	return Create(filepath.Join(k.folder, a.at.UTC().Format("20060102T150405Z")+"-"+a.id+".tiff"), d)
}

func (k *Keeper) room() error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(k.folder, &disk); err != nil {
		return fmt.Errorf("folder %s: %w", k.folder, err)
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < leftFreeBytes {
		return fmt.Errorf("folder %s: only %d MiB are free, which are left to events; make room", k.folder, free>>20)
	}
	return nil
}

// write takes frame after frame until the last alert is long enough ago.
func (k *Keeper) write(ctx context.Context, w *Writer, a alert, reel *reel) error {
	end := a.at.Add(k.config.After)
	var frame camera.Frame
	for {
		switch more, err := reel.next(ctx, &frame); {
		case err != nil || !more:
			return err
		case frame.Captured.After(end):
			return nil
		}
		if err := w.Add(&frame); err != nil {
			return err
		}
		if w.Frames()%32 == 0 {
			if err := k.room(); err != nil {
				return err
			}
		}
		if w.Length() > longest || w.Bytes() > int64(k.config.MaxSizeMiB)<<20 {
			return nil
		}
		select {
		case next := <-k.alerts:
			w.About(next.id)
			end = next.at.Add(k.config.After)
		default:
		}
	}
}

// reel is where in the frames of one camera a clip has got to.
type reel struct {
	keeper      *Keeper
	description Description
	camera      int // the how manieth
	number      int // of the next frame
	missing     int // frames that were forgotten before the disk had time for them
}

// reelFrom begins with the first frame in memory from a time on.
func (k *Keeper) reelFrom(at time.Time) *reel {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.frames, func(f camera.Frame) bool { return !f.Captured.Before(at) })
	if i < 0 {
		i = len(k.frames)
	}
	return &reel{keeper: k, description: k.description, camera: k.cameras, number: k.first + i}
}

// next waits for the next frame. There is none after another camera has come, silence, or the end of ctx.
func (r *reel) next(ctx context.Context, frame *camera.Frame) (more bool, err error) {
	for {
		if found, over := r.take(frame); found || over {
			return found, nil
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-time.After(silence):
			return false, errors.New("the camera delivers no more pictures")
		case <-r.keeper.fresh:
		}
	}
}

// take copies the next frame, if there is one by now.
func (r *reel) take(frame *camera.Frame) (found, over bool) {
	k := r.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cameras != r.camera {
		return false, true
	}
	if late := k.first - r.number; late > 0 {
		r.number += late
		r.missing += late
	}
	i := r.number - k.first
	if i >= len(k.frames) {
		return false, false
	}
	counts := frame.Counts
	*frame = k.frames[i]
	frame.Counts = append(counts[:0], frame.Counts...)
	r.number++
	return true, false
}

// tidy takes away the oldest clips, beyond what the config allows.
func (k *Keeper) tidy() {
	entries, err := os.ReadDir(k.folder) // by name, and so by time
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			k.log.Warn("old clips are not looked for", "error", err)
		}
		return
	}
	kept, bytes := 0, int64(0)
	oldest := time.Now().AddDate(0, 0, -k.config.MaxAgeDays)
	for _, entry := range slices.Backward(entries) {
		path := filepath.Join(k.folder, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") { // a sidecar that was being written when the power went
			os.Remove(path)
		}
		if !strings.HasSuffix(entry.Name(), ".tiff") {
			continue
		}
		info, err := entry.Info()
		if err != nil { // gone meanwhile
			continue
		}
		kept++
		bytes += info.Size()
		if kept <= k.config.MaxCount && bytes <= int64(k.config.MaxSizeMiB)<<20 && info.ModTime().After(oldest) {
			continue
		}
		if err := remove(path); err != nil {
			k.log.Warn("an old clip stays", "clip", entry.Name(), "error", err)
		}
	}
}

// remove takes away a clip and, first, its sidecar.
func remove(path string) error {
	beside, err := SidecarPath(path)
	if err != nil {
		return err
	}
	if err := os.Remove(beside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Remove(path)
}
