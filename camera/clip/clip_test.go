package clip

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/camera"
	"thermogate/camera/radiometry"
	"thermogate/camera/v4l2"
)

// frames are upright pictures of noise, at odd times.
func frames(n, width, height int) []camera.Frame {
	random := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, time.March, 1, 8, 0, 0, 123456789, time.UTC)
	all := make([]camera.Frame, n)
	for i := range all {
		all[i] = camera.Frame{Width: width, Height: height, Index: i, Captured: at, SinceFFC: time.Duration(i-1) * 1234567 * time.Microsecond}
		if i == 0 {
			all[i].SinceFFC = -1
		}
		if i%3 != 1 { // some pictures come without
			all[i].Telemetry = &v4l2.Telemetry{Uptime: time.Duration(i) * 114 * time.Millisecond, SinceFFC: all[i].SinceFFC, SensorCelsius: 31.25 + float64(i)}
		}
		for range width * height {
			all[i].Counts = append(all[i].Counts, uint16(random.Uint32()))
		}
		at = at.Add(100*time.Millisecond + time.Duration(random.IntN(3e7)))
	}
	return all
}

func described(o camera.Orientation) Description {
	return Description{Info: camera.Info{Name: "/dev/video0", Model: "lepton3.5", Device: "north", FPS: 8.77, Units: "centikelvin",
		ReferenceCelsius: new(36.9), ReferenceKnown: true}, Orientation: o}
}

func write(t *testing.T, w *Writer, frames []camera.Frame) {
	t.Helper()
	for i := range frames {
		if err := w.Add(&frames[i]); err != nil {
			t.Fatal(err)
		}
	}
}

// read plays a clip to its end.
func read(t *testing.T, path string, options camera.Options) ([]camera.Frame, camera.Info) {
	t.Helper()
	source, err := camera.Open(t.Context(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var all []camera.Frame
	for {
		var frame camera.Frame
		if err := source.Read(t.Context(), &frame); errors.Is(err, io.EOF) {
			return all, source.Info()
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, frame)
	}
}

func TestAClipIsReadAsItWasWritten(t *testing.T) {
	for _, orientation := range append(camera.Orientations(), "") {
		path := filepath.Join(t.TempDir(), "clip.tiff")
		w, err := Create(path, described(orientation))
		if err != nil {
			t.Fatal(err)
		}
		wrote := frames(5, 12, 9)
		write(t, w, wrote)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		// The config of the gate says the orientation, too; it must not turn the pictures once more.
		for _, options := range []camera.Options{{}, {Orientation: orientation}} {
			got, info := read(t, path, options)
			if len(got) != len(wrote) {
				t.Fatalf("%s: %d frames, want %d", orientation, len(got), len(wrote))
			}
			for i := range got {
				if !slices.Equal(got[i].Counts, wrote[i].Counts) || got[i].Width != wrote[i].Width {
					t.Errorf("%s: frame %d has other counts", orientation, i)
				}
				if diff := cmp.Diff(wrote[i].Telemetry, got[i].Telemetry); diff != "" {
					t.Errorf("%s: telemetry of frame %d: %s", orientation, i, diff)
				}
				if !got[i].Captured.Equal(wrote[i].Captured) || got[i].SinceFFC != wrote[i].SinceFFC {
					t.Errorf("%s: frame %d is of %v, %v after the shutter; want %v, %v", orientation, i,
						got[i].Captured, got[i].SinceFFC, wrote[i].Captured, wrote[i].SinceFFC)
				}
			}
			if info.Model != "lepton3.5" || info.Device != "north" || info.Units != "centikelvin" || *info.ReferenceCelsius != 36.9 || !info.ReferenceKnown {
				t.Errorf("%s: it says %+v of its camera", orientation, info)
			}
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("pictures of people have mode %v, error %v", info.Mode(), err)
		}
	}
}

// TestScalesWithoutAName are those of cameras whose units have no word.
func TestScalesWithoutAName(t *testing.T) {
	planck := radiometry.SkinPlanck()
	planck.R1, planck.B, planck.F, planck.O, planck.R2 = 14906.216, 1396.5, 1, -7261, 0.010956882
	for name, info := range map[string]camera.Info{
		"linear": {Units: "linear", Linear: radiometry.Linear{KelvinPerCount: 0.1, ZeroCelsius: -100}},
		"planck": {Units: "planck", Planck: planck},
	} {
		path := filepath.Join(t.TempDir(), "clip.tiff")
		w, err := Create(path, Description{Info: info})
		if err != nil {
			t.Fatal(err)
		}
		write(t, w, frames(2, 12, 9))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		_, got := read(t, path, camera.Options{})
		if got.Units != info.Units || got.Linear != info.Linear || got.Planck != info.Planck {
			t.Errorf("%s becomes %+v", name, got)
		}
	}
}

func TestAClipIsWholeWhateverEndsTheProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clip.tiff")
	w, err := Create(path, described(""))
	if err != nil {
		t.Fatal(err)
	}
	wrote := frames(3, 12, 9)
	write(t, w, wrote)
	got, info := read(t, path, camera.Options{}) // never closed
	if len(got) != 3 || !slices.Equal(got[2].Counts, wrote[2].Counts) || info.Units != "centikelvin" {
		t.Errorf("%d frames in %s", len(got), info.Units)
	}
	// The page that was being written: its bytes are there, in part, and nothing points at them.
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	file.Write(make([]byte, 100))
	file.Close()
	if got, _ := read(t, path, camera.Options{}); len(got) != 3 {
		t.Errorf("%d frames with a page cut off, want 3", len(got))
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "a.tiff"), []byte("a"), 0o600)
	os.WriteFile(filepath.Join(dir, "b.json"), []byte("b"), 0o600)
	for _, name := range []string{"a.tiff", "b.tiff", "c.png", "no/folder.tiff"} {
		_, err := Create(filepath.Join(dir, name), described(""))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestAFullDiskLeavesAWholeClip(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("skipped, it takes the right to mount a file system: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	path := filepath.Join(dir, "clip.tiff")
	w, err := Create(path, described(""))
	if err != nil {
		t.Fatal(err)
	}
	wrote := frames(200, 32, 32) // 2 KiB each
	var full error
	for i := range wrote {
		if full = w.Add(&wrote[i]); full != nil {
			break
		}
	}
	if !errors.Is(full, syscall.ENOSPC) {
		t.Fatalf("error %v", full)
	}
	// Somebody else takes what a page left.
	rest, err := os.Create(filepath.Join(dir, "rest"))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(rest, io.LimitReader(strings.NewReader(strings.Repeat("x", 1<<20)), 1<<20))
	rest.Close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := read(t, path, camera.Options{})
	if len(got) < 50 || len(got) != w.Frames() || !got[len(got)-1].Captured.Equal(wrote[len(got)-1].Captured) {
		t.Errorf("%d frames of %d are left", len(got), w.Frames())
	}
}

func TestAFileEndsAt4GiB(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "clip.tiff"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s, err := newStack(file)
	if err != nil {
		t.Fatal(err)
	}
	picture := make([]uint16, 640*512)
	if err := s.add(picture, 640, 512); err != nil {
		t.Fatal(err)
	}
	s.pages = int((LargestBytes - headerBytes) / PageBytes(640, 512)) // as if there were so many: the file has holes
	if err := s.add(picture, 640, 512); !errors.Is(err, ErrFull) {
		t.Errorf("error %v", err)
	}
}

// keeping returns a keeper at work in a folder, and what ends it.
func keeping(t *testing.T, c Config, folder string) (*Keeper, *bytes.Buffer, func()) {
	t.Helper()
	var logged bytes.Buffer
	k := NewKeeper(c, folder, slog.New(slog.NewTextHandler(&logged, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { k.Run(ctx); close(done) }()
	return k, &logged, func() { cancel(); <-done }
}

// waitFor asks until the answer is yes.
func waitFor(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !yes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about", what)
		}
	}
}

func clips(folder string) []string {
	names, _ := filepath.Glob(filepath.Join(folder, "*.tiff"))
	return names
}

func complete(folder string, n int) func() bool {
	return func() bool {
		whole := 0
		for _, name := range clips(folder) {
			beside, _ := SidecarPath(name)
			if text, err := os.ReadFile(beside); err == nil && bytes.Contains(text, []byte("time_ms")) {
				whole++
			}
		}
		return whole == n
	}
}

func TestTheSecondsAroundAnAlertAreKept(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "clips")
	c := DefaultConfig()
	c.Before, c.After = time.Second, 500*time.Millisecond
	k, logged, end := keeping(t, c, folder)
	k.SetCamera(described(camera.Transpose))
	seen := frames(60, 12, 9)
	for i := range seen {
		k.See(&seen[i])
		if i == 30 {
			k.Keep("ALERT", seen[i].Captured)
		}
		if i == 32 { // while the clip of the first is under way, or just before
			k.Keep("SECOND", seen[i].Captured)
		}
	}
	waitFor(t, "a clip", complete(folder, 1))
	end()
	got, _ := read(t, clips(folder)[0], camera.Options{})
	first, last := got[0].Captured, got[len(got)-1].Captured
	if before := seen[30].Captured.Sub(first); before > c.Before || before < c.Before-150*time.Millisecond {
		t.Errorf("it begins %v before the alert\n%s", before, logged)
	}
	if after := last.Sub(seen[32].Captured); after > c.After || after < c.After-150*time.Millisecond {
		t.Errorf("it ends %v after the second alert\n%s", after, logged)
	}
	if !slices.Equal(got[0].Counts, seen[got[0].Index+slices.IndexFunc(seen, func(f camera.Frame) bool { return f.Captured.Equal(first) })].Counts) {
		t.Error("it shows other pictures")
	}
}

func TestMemoryIsBoundedWithoutTheDisk(t *testing.T) {
	k := NewKeeper(Config{Before: time.Minute}, t.TempDir(), slog.New(slog.DiscardHandler)) // nobody writes
	frame := camera.Frame{Width: 1280, Height: 1024, Counts: make([]uint16, 1280*1024)}
	for i := range 200 {
		frame.Captured = time.Unix(0, int64(i)*int64(time.Second/60))
		k.See(&frame)
		k.Keep("ALERT", frame.Captured)
	}
	if k.bytes > memoryBytes || len(k.frames) > memoryBytes/len(frame.Counts)/2 {
		t.Errorf("%d frames, %d bytes are kept", len(k.frames), k.bytes)
	}
}

func TestOldClipsGo(t *testing.T) {
	folder := t.TempDir()
	old := time.Now().AddDate(0, 0, -10)
	for i, name := range []string{"20260101T000000Z-A", "20260102T000000Z-B", "20260103T000000Z-C", "20260104T000000Z-D"} {
		os.WriteFile(filepath.Join(folder, name+".tiff"), make([]byte, 400<<10), 0o600)
		os.WriteFile(filepath.Join(folder, name+".json"), []byte("{}"), 0o600)
		if i == 0 {
			os.Chtimes(filepath.Join(folder, name+".tiff"), old, old)
		}
	}
	os.WriteFile(filepath.Join(folder, "notes.txt"), nil, 0o600)
	for _, test := range []struct {
		name            string
		days, most, mib int
		left            string
	}{
		{"by age", 9, 100, 100, "BCD"},
		{"by size", 9, 100, 1, "CD"},
		{"by number", 9, 1, 100, "D"},
	} {
		k := NewKeeper(Config{MaxAgeDays: test.days, MaxCount: test.most, MaxSizeMiB: test.mib}, folder, slog.New(slog.DiscardHandler))
		k.tidy()
		var left string
		for _, name := range clips(folder) {
			left += strings.TrimSuffix(name, ".tiff")[len(name)-len("A.tiff"):]
		}
		if left != test.left {
			t.Errorf("%s: %s are left, want %s", test.name, left, test.left)
		}
		if sidecars, _ := filepath.Glob(filepath.Join(folder, "*.json")); len(sidecars) != len(left) {
			t.Errorf("%s: %d sidecars for %d clips", test.name, len(sidecars), len(left))
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "notes.txt")); err != nil {
		t.Error(err)
	}
}

func TestImpossibleConfigIsNamed(t *testing.T) {
	for key, spoil := range map[string]func(*Config){
		"before":       func(c *Config) { c.Before = time.Hour },
		"after":        func(c *Config) { c.After = -time.Second },
		"max_age_days": func(c *Config) { c.MaxAgeDays = 0 },
		"max_count":    func(c *Config) { c.MaxCount = 0 },
		"max_size_mib": func(c *Config) { c.MaxSizeMiB = -1 },
	} {
		c := DefaultConfig()
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error %v", key, err)
		}
	}
}

func BenchmarkSee(b *testing.B) {
	k := NewKeeper(DefaultConfig(), b.TempDir(), slog.New(slog.DiscardHandler))
	frame := frames(1, 120, 160)[0]
	b.ReportAllocs()
	for b.Loop() {
		frame.Captured = frame.Captured.Add(114 * time.Millisecond)
		k.See(&frame)
	}
}
