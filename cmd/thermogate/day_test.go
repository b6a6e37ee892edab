package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"thermogate/camera"
	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/testdata"
)

// dayFPS is the rate of the made-up day, that of a Lepton.
const dayFPS = 9

// TestADayLeaksNothing has a gate with a broker of its own, clips and a console within it screen people for many hours,
// speeded up, while pages and a receiver come and go. Each frame counts. THERMOGATE_DAY_HOURS asks for more than a few minutes
// of it; deploy/soak-day does.
func TestADayLeaksNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	frames, every := 9_000, 1_000
	if hours := dayHours(t); hours > 0 {
		frames, every = hours*60*60*dayFPS, 10_000
	}
	source := newHurried(t, frames, every)
	d := startDay(t, source)

	var samples []useOfSelf
	for n := range source.passed {
		d.visit()
		use := ownUse(t)
		t.Logf("%7d frames: %v, %d events", n, use, d.station.journal.Last())
		samples = append(samples, use)
		if n >= frames {
			break
		}
	}
	d.allStored()
	const chanceBytes = 24 << 20 // and SQLite's caches, which take some 12,000 events to fill
	if warm, end := samples[len(samples)/4], samples[len(samples)-1]; end.native > warm.native+chanceBytes || end.alive > warm.alive+warm.alive/4 {
		t.Errorf("memory grows: from %v to %v", warm, end)
	}
	// What happens to be open at the same time changes all the time; what leaks is always there.
	early, late := samples[:len(samples)/4+1], samples[len(samples)*3/4:]
	for what, of := range map[string]func(a, b useOfSelf) int{
		"descriptors": func(a, b useOfSelf) int { return a.descriptors - b.descriptors },
		"goroutines":  func(a, b useOfSelf) int { return a.goroutines - b.goroutines },
	} {
		if most, least := slices.MaxFunc(early, of), slices.MinFunc(late, of); of(least, most) > 2 {
			t.Errorf("%s leak: at first at most as in %v, at last at least as in %v", what, most, least)
		}
	}
	if d.station.journal.Last() == 0 {
		t.Error("nobody was screened")
	}
}

// dayHours are those that are asked for, 0 where none are.
func dayHours(t *testing.T) int {
	t.Helper()
	text := os.Getenv("THERMOGATE_DAY_HOURS")
	if text == "" {
		return 0
	}
	hours, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("THERMOGATE_DAY_HOURS: %v", err)
	}
	return hours
}

// TestEventsLeaveNothing has far more events than frames: what is alive in Go after many is what was after a quarter of them,
// and an alert takes little for as long as it is open. THERMOGATE_DAY_HOURS asks for 600 events for each hour.
func TestEventsLeaveNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	events := 2_000
	if hours := dayHours(t); hours > 0 {
		events = hours * 600
	}
	const (
		chanceBytes      = 2 << 20
		openAlertBytes   = 8 << 10
		closedAlertBytes = 3 << 10 // the gate's broker keeps the console's word on it for an hour
	)
	for _, closed := range []bool{true, false} {
		t.Run(fmt.Sprintf("alerts closed=%t", closed), func(t *testing.T) {
			alerts, anAlertBytes := 720, openAlertBytes
			if closed {
				alerts, anAlertBytes = events/20, closedAlertBytes
			}
			source := newHurried(t, 1_000, 1_000)
			d := startDay(t, source)
			<-source.passed
			crowd := newCrowd(t, d)
			var samples []useOfSelf
			for n := 1; n <= events; n++ {
				crowd.come(n%(events/alerts) == 0)
				if n%100 == 0 {
					crowd.wait()
					if closed {
						d.closeAlerts()
					}
				}
				if n%(events/4) == 0 {
					use := ownUse(t)
					t.Logf("%6d events: %v", d.station.journal.Last(), use)
					samples = append(samples, use)
				}
			}
			first, last := samples[0], samples[3]
			most := first.alive + chanceBytes + alerts*3/4*anAlertBytes
			for deadline := time.Now().Add(time.Minute); last.alive > most && time.Now().Before(deadline); time.Sleep(time.Second) {
				last = ownUse(t) // without what was under way: pages that were being made
			}
			if last.alive > most {
				t.Errorf("memory grows with events: from %v to %v", first, last)
			}
		})
	}
}

// crowd are people before a gate, each like the one who had a pass there or the one who had an alert.
type crowd struct {
	day            *day
	well, feverish event.Event
	ids            event.IDs
	events         int64 // of the gate, once all of the crowd are stored
}

func newCrowd(t *testing.T, d *day) *crowd {
	t.Helper()
	c := &crowd{day: d, ids: event.NewIDs(rand.Reader)}
	if err := journal.List(t.Context(), filepath.Join(d.station.config.DataDir, journalName), journal.Filter{}, func(e journal.Entry) error {
		switch e.Event.Data.Outcome {
		case event.Pass:
			c.well = e.Event
		case event.Alert:
			c.feverish = e.Event
		}
		c.events++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if c.well.ID == "" || c.feverish.ID == "" {
		t.Fatal("the recordings have no pass or no alert")
	}
	return c
}

func (c *crowd) come(feverish bool) {
	e := c.well
	if feverish {
		e = c.feverish
	}
	e.Time = time.Now()
	e.ID = c.ids.At(e.Time)
	e.Data.FirstSeen, e.Data.MeasurableSince, e.Data.RescreenOf, e.Data.Revises = e.Time.Add(-2*time.Second), nil, "", ""
	s := c.day.station
	s.mu.Lock()
	learnt := s.gate.Policy().State()
	s.mu.Unlock()
	s.verdicts <- verdict{e, learnt}
	c.events++
}

// wait until the console has them all.
func (c *crowd) wait() {
	for c.day.station.journal.Last() < c.events {
		time.Sleep(5 * time.Millisecond)
	}
	c.day.allStored()
}

// hurried is a camera that waits for nothing but the gate. It plays visits over and over: one hour as those of one camera, the
// next of one camera each, for which the gate is set up anew.
type hurried struct {
	visits []visit
	begin  time.Time // of the day
	at, in int       // the frame that comes next, and the visit that it is of
	frames int       // played
	taken  func() camera.Info
	every  int      // frames, after which passed is told
	passed chan int // frames
}

// newHurried begins a day that ends now; frames has its length, and after every so many passed is told.
func newHurried(t *testing.T, frames, every int) *hurried {
	t.Helper()
	h := &hurried{begin: time.Now().Add(-time.Duration(frames) * time.Second / dayFPS), every: every, passed: make(chan int)}
	for _, name := range []string{"20210324-134824", "20210330-141215", "20210331-131017", "20210331-231218", "20210401-132636", "20210401-142114"} {
		h.visits = append(h.visits, readVisit(t, testdata.Shared(t, "recordings", name+".tiff")))
	}
	return h
}

// visit is a recording of somebody.
type visit struct {
	info   camera.Info
	frames []camera.Frame
}

func readVisit(t *testing.T, path string) (v visit) {
	t.Helper()
	source, err := camera.Open(t.Context(), path, camera.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	v.info = source.Info()
	for {
		var frame camera.Frame
		if err := source.Read(t.Context(), &frame); err == io.EOF {
			return v
		} else if err != nil {
			t.Fatal(err)
		}
		v.frames = append(v.frames, frame)
	}
}

// Info has the number of the newest frame in it, by which the gate tells that it has taken that.
func (h *hurried) Info() camera.Info {
	info := h.visits[h.in].info
	info.Device = strconv.Itoa(h.frames)
	if h.frames/dayFPS/3600%2 == 0 {
		info.Name = "camera"
	}
	return info
}

func (h *hurried) Read(ctx context.Context, frame *camera.Frame) error {
	for h.frames > 0 && h.taken().Device != strconv.Itoa(h.frames) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(200 * time.Microsecond)
	}
	if h.frames > 0 && h.frames%h.every == 0 {
		select {
		case h.passed <- h.frames:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if h.at == len(h.visits[h.in].frames) {
		h.at, h.in = 0, (h.in+1)%len(h.visits)
	}
	counts := frame.Counts
	*frame = h.visits[h.in].frames[h.at]
	frame.Counts = append(counts[:0], frame.Counts...)
	frame.Captured = h.begin.Add(time.Duration(h.frames) * time.Second / dayFPS)
	h.at++
	h.frames++
	return nil
}

func (h *hurried) Close() error { return nil }

// day is a gate at work, and who watches it.
type day struct {
	t        *testing.T
	station  *station
	gate     string // address of the pages
	console  *consoleProcess
	guard    *page
	receiver paho.Client
	closed   map[string]bool // alerts, by their page
}

func startDay(t *testing.T, source *hurried) *day {
	dir := t.TempDir()
	d := &day{t: t, closed: map[string]bool{}, console: &consoleProcess{t: t, dir: dir, address: testdata.FreeAddress(t)}}
	inside := filepath.Join(dir, "console.yaml")
	if err := os.WriteFile(inside, []byte("http: {listen: '"+d.console.address+"'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := gateConfig(t, "north")
	c.HTTP.PasswordFile, c.Console, c.Clips.AroundAlerts = "", inside, true
	d.gate = "http://" + c.HTTP.Listen
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	opened := make(chan struct{})
	d.station, err = openStation(t.Context(), c, func(context.Context) (camera.Source, error) {
		<-opened
		return source, nil
	}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	source.taken = d.station.camera.Info
	close(opened)
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	working.Go(func() {
		if err := d.station.work(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); working.Wait(); d.station.close() })
	for !strings.Contains(d.console.log(), "console opens") {
		time.Sleep(10 * time.Millisecond)
	}
	d.guard = watchPage(t, d.console)
	t.Cleanup(func() {
		if d.receiver != nil {
			d.receiver.Disconnect(0)
		}
	})
	return d
}

// visit opens the pages as people do in the course of a day, and has the receiver go and come.
func (d *day) visit() {
	d.t.Helper()
	for _, page := range []string{"/", "/status", "/picture", "/metrics", "/readyz?verbose"} {
		get(d.t, d.gate+page)
	}
	ctx, cancel := context.WithCancel(d.t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.gate+"/stream", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	stream, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer stream.Body.Close()
	if _, err := stream.Body.Read(make([]byte, 1)); err != nil {
		d.t.Fatal(err)
	}
	for _, page := range []string{"/", "/history", "/gates", "/metrics"} {
		answer, err := d.guard.get(ctx, page)
		if err != nil {
			d.t.Fatal(err)
		}
		answer.Body.Close()
	}
	d.closeAlerts()
	if d.receiver != nil {
		d.receiver.Disconnect(250)
	}
	d.receiver = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + d.station.config.Broker.Listen).SetClientID("receiver").SetCleanSession(false))
	if token := d.receiver.Connect(); token.Wait() && token.Error() != nil {
		d.t.Fatal(token.Error())
	}
	if token := d.receiver.Subscribe("thermogate/#", 1, func(paho.Client, paho.Message) {}); token.Wait() && token.Error() != nil {
		d.t.Fatal(token.Error())
	}
}

var alertVersion = regexp.MustCompile(`name="version" value="(\d+)"`)

// closeAlerts takes and closes all, as guards do: the page of the console has every alert that waits.
func (d *day) closeAlerts() {
	d.t.Helper()
	page := func(path string) string {
		d.t.Helper()
		answer, err := d.guard.get(d.t.Context(), path)
		if err != nil {
			d.t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			d.t.Fatal(err)
		}
		return string(body)
	}
	for _, found := range alertLink.FindAllString(page("/?part=alerts"), -1) {
		if alert := strings.Clone(found); !d.closed[alert] { // the page may be older than its closing
			d.closed[alert] = true
			for _, step := range []string{"/take", "/close"} {
				version := alertVersion.FindStringSubmatch(page(alert))
				if version == nil {
					d.t.Fatalf("%s has no version", alert)
				}
				d.console.post(d.guard.client, alert+step, url.Values{"version": version[1:], "outcome": {"gone"}})
			}
		}
	}
}

var consoleHas = regexp.MustCompile(`(?m)^thermogate_console_events_total (\d+)$`)

// allStored waits until the console has every event.
func (d *day) allStored() {
	d.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		last := strconv.FormatUint(uint64(d.station.journal.Last()), 10)
		has := consoleHas.FindStringSubmatch(get(d.t, "http://"+d.console.address+"/metrics"))
		if has != nil && has[1] == last {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("of %s events the console has %v", last, has)
		}
	}
}

// useOfSelf is what this process holds. Files that it maps, such as libraries, are left out: the kernel has them once for all.
type useOfSelf struct {
	private, alive, native  int // bytes: all, what Go could not do without, and what is of C
	descriptors, goroutines int
}

func (u useOfSelf) String() string {
	return fmt.Sprintf("%d MB of its own in memory, %.1f of it alive in Go, %d of C, %d descriptors, %d goroutines",
		u.private/1e6, float64(u.alive)/1e6, u.native/1e6, u.descriptors, u.goroutines)
}

var privateNow = regexp.MustCompile(`(?m)^RssAnon:\s+(\d+) kB$`)

func ownUse(t *testing.T) useOfSelf {
	t.Helper()
	of := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	alive := math.MaxInt
	for range 3 { // what is made while one collects counts as alive, and pools keep what they had at hand until the second
		runtime.GC()
		metrics.Read(of)
		alive = min(alive, int(of[0].Value.Uint64()))
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	found := privateNow.FindSubmatch(status)
	if found == nil {
		t.Fatalf("/proc/self/status: %s", status)
	}
	kilobytes, _ := strconv.Atoi(string(found[1]))
	descriptors, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	private, ofGo := kilobytes<<10, int(of[1].Value.Uint64()-of[2].Value.Uint64())
	return useOfSelf{private, alive, private - ofGo, len(descriptors), runtime.NumGoroutine()}
}
