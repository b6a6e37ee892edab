package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thermogate/camera"
	"thermogate/screening/event"
	"thermogate/screening/journal"
)

// slowSync makes every sync of a process that loads it take a third of a second, more than the camera's two frames.
const slowSync = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
static int late(int fd, const char *name) {
	int (*sync)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	usleep(333000);
	return sync(fd);
}
int fsync(int fd) { return late(fd, "fsync"); }
int fdatasync(int fd) { return late(fd, "fdatasync"); }
`

// onSlowDisk runs the test that calls it once more, in a process of its own whose disk is slow.
func onSlowDisk(t *testing.T, ctx context.Context, dir string) *exec.Cmd {
	t.Helper()
	compiler, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("gcc is not installed (Debian package gcc)")
	}
	library := filepath.Join(dir, "slow.so")
	if err := os.WriteFile(filepath.Join(dir, "slow.c"), []byte(slowSync), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command(compiler, "-shared", "-fPIC", "-o", library, filepath.Join(dir, "slow.c")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	gate := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$")
	gate.Env = append(os.Environ(), "SLOW_DISK_TEST=1", "LD_PRELOAD="+library, "TMPDIR="+dir)
	return gate
}

// TestSlowDiskShowsNoVerdictToTheNext has the one who passed walk on while the disk still writes, and another one step up.
func TestSlowDiskShowsNoVerdictToTheNext(t *testing.T) {
	if os.Getenv("SLOW_DISK_TEST") == "" {
		if said, err := onSlowDisk(t, t.Context(), t.TempDir()).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		return
	}
	way := startDoorway(t, opens)
	s, err := openWithoutCamera(t.Context(), doorConfig(t, t.TempDir(), way.URL))
	if err != nil {
		t.Fatal(err)
	}
	events := published(t, s)
	record(t, s)
	says := screens(t, s)
	s.kiosk.SetCamera(event.CameraOK)
	passed := decided(event.Pass)
	first := standing(passed)
	s.present.see(first)
	s.kiosk.Show(first)
	began := time.Now()
	s.verdicts <- passed

	second := standing(passed)
	second.Captured, second.People = second.Captured.Add(100*time.Millisecond), []event.Person{{ID: 9, Face: event.Box{W: 30, H: 40}}}
	s.present.see(second)
	s.kiosk.Show(second)
	got := next(t, events)
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("the event was out after %v: this disk is not slow", took)
	}
	if proof := got.Data.Door; proof.Commanded == nil || *proof.Commanded || proof.Error != "not told to open: the person had gone" {
		t.Errorf("the proof of the door is %+v", proof)
	}
	s.kiosk.SetCamera(event.CameraLost) // is what the page says last
	for head := range says {
		if strings.Contains(head, "normal") {
			t.Errorf("the next one reads %q", head)
		}
		if head == "The camera is not connected" {
			break
		}
	}
	if len(way.told) > 0 {
		t.Error("the door was told")
	}
}

// TestFullDiskStopsNoScreening fills the disk up, and looks at what people and operators are told.
func TestFullDiskStopsNoScreening(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("skipped, a small file system can't be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	way := startDoorway(t, opens)
	s, err := openWithoutCamera(t.Context(), doorConfig(t, dir, way.URL))
	if err != nil {
		t.Fatal(err)
	}
	events := published(t, s)
	end := record(t, s)
	says := screens(t, s)
	s.kiosk.SetCamera(event.CameraOK)
	ballast := filepath.Join(dir, "ballast")
	if os.WriteFile(ballast, make([]byte, 1<<20), 0o600) == nil {
		t.Fatal("there still is room")
	}
	var ids []string
	for waiting := 0; waiting < 2; waiting = s.journal.Stats().Waiting { // the log may still have room
		passed := decided(event.Pass)
		passed.event.Data.Reason = event.Reason(strings.Repeat("x", 20_000))
		scene := standing(passed)
		s.present.see(scene)
		s.kiosk.Show(scene)
		s.verdicts <- passed
		e := next(t, events)
		ids = append(ids, e.ID)
		if s.journal.Stats().Waiting > 0 && (*e.Data.Door.Commanded || e.Data.Door.Error != "not told to open: it could not be stored on disk") {
			t.Errorf("the proof of the door is %+v", e.Data.Door)
		}
	}
	s.tellJournal()
	for _, page := range []struct{ path, says string }{
		{"/readyz?verbose", "events are in memory only"},
		{"/metrics", "\nthermogate_journal_failing 1\n"},
		{"/metrics", "\nthermogate_journal_waiting_events 2\n"},
		{"/metrics", "\nthermogate_events_lost_total 0\n"},
	} {
		answer := httptest.NewRecorder()
		s.pages.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, page.path, nil))
		if !strings.Contains(answer.Body.String(), page.says) {
			t.Errorf("%s lacks %q: %.500s", page.path, page.says, answer.Body)
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for s.journal.Err() != nil { // a second
		time.Sleep(10 * time.Millisecond)
	}
	s.kiosk.SetCamera(event.CameraLost) // is what the page says last
	shown := 0
	for head := range says {
		if strings.Contains(head, "normal") {
			shown++
		}
		if head == "The camera is not connected" {
			break
		}
	}
	if shown == 0 {
		t.Error("nobody was told of a verdict")
	}
	end()
	var stored []string
	err = journal.List(t.Context(), filepath.Join(dir, journalName), journal.Filter{}, func(e journal.Entry) error {
		stored = append(stored, e.Event.ID)
		return nil
	})
	if diff := cmp.Diff(ids, stored); diff != "" || err != nil {
		t.Errorf("on disk: %v, %s", err, diff)
	}
}

// TestSlowDiskDelaysNoFrame runs the demo on a disk that is slow to sync.
func TestSlowDiskDelaysNoFrame(t *testing.T) {
	if os.Getenv("SLOW_DISK_TEST") != "" { // the gate itself
		if err := demo(t.Context(), nil, camera.Options{}, os.Stdout, io.Discard); err != nil {
			t.Fatal(err)
		}
		return
	}
	if testing.Short() {
		t.Skip("takes a quarter of a minute, and the race detector alone delays frames")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	gate := onSlowDisk(t, ctx, dir)
	printed, err := gate.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := gate.Start(); err != nil {
		t.Fatal(err)
	}
	defer gate.Wait()
	defer gate.Process.Kill()
	pages, broker, _ := addresses(t, printed)

	type counts struct{ captured, dropped, screened float64 }
	count := func() (c counts) {
		metrics := get(t, pages+"metrics")
		c.captured, c.dropped = sampled(t, metrics, "thermogate_frames_captured_total"), sampled(t, metrics, "thermogate_frames_dropped_total")
		for _, m := range regexp.MustCompile(`(?m)^thermogate_screenings_total\{.*\} (\d+)$`).FindAllStringSubmatch(metrics, -1) {
			n, _ := strconv.Atoi(m[1])
			c.screened += float64(n)
		}
		return c
	}
	const tries = 10
	for try, before := 1, (counts{}); ; try++ {
		for range 2 {
			e := firstEvent(t, ctx, broker)
			if took := time.Since(e.Time); took < 300*time.Millisecond {
				t.Errorf("event %s was out after %v: this disk is not slow", e.ID, took)
			}
		}
		now := count()
		dropped, screened := now.dropped-before.dropped, now.screened-before.screened
		if now.captured >= 50 && screened >= 2 && dropped < 2*screened { // a loop that waits for the disk always drops more, a busy machine sometimes
			return
		}
		if try == tries {
			t.Fatalf("%v frames were dropped at the last, with %v events", dropped, screened)
		}
		before = now
	}
}

// sampled is the value of a metric without labels.
func sampled(t *testing.T, metrics, name string) float64 {
	t.Helper()
	m := regexp.MustCompile(fmt.Sprintf(`(?m)^%s (\S+)$`, name)).FindStringSubmatch(metrics)
	if m == nil {
		t.Fatalf("no metric %s", name)
	}
	value, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
