package door

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"thermogate/screening/event"
)

// sample is a verdict of a minute to come: no machine is slow enough to make it too old.
func sample(outcome event.Outcome) event.Event {
	return event.Event{
		SpecVersion: "1.0", ID: "01JQ8Z6Y5T2M3N4P5Q6R7S8T9V", Source: "/plant/north",
		Type: "thermogate.screening." + string(outcome) + ".v1", Time: time.Now().Add(time.Minute), DataContentType: "application/json",
		Data: event.Data{Outcome: outcome, Reason: "below-threshold", Camera: "test", Version: "test"},
	}
}

// work runs a door until the end of the test and returns it with what it answers.
func work(t *testing.T, d *Door) <-chan event.Event {
	answers := make(chan event.Event, 2*queue)
	d.calls.Answered = func(e event.Event) { answers <- e }
	done := make(chan struct{})
	go func() { defer close(done); d.Run() }()
	t.Cleanup(func() { d.Close(); <-done })
	return answers
}

// quietCalls let everybody in and tell nobody.
func quietCalls() Calls {
	return Calls{May: func(event.Event) error { return nil }, Moved: func(Move) {}}
}

// newDoor has all the time that a machine needs which does much else.
func newDoor(t *testing.T, cfg Config) *Door {
	t.Helper()
	d, err := New(cfg, quietCalls(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.cfg.Timeout = time.Minute
	return d
}

// answer is the next one, less what differs between runs.
func answer(t *testing.T, answers <-chan event.Event) event.Door {
	t.Helper()
	select {
	case e := <-answers:
		return *e.Data.Door
	case <-time.After(time.Minute):
		t.Fatal("no answer")
		panic("unreachable")
	}
}

var noSeconds = cmpopts.IgnoreFields(event.Door{}, "Seconds")

// TestOnlyAPassOpens gives the door every outcome there is, and some there are not.
func TestOnlyAPassOpens(t *testing.T) {
	server := startCoils(t)
	d := newDoor(t, server.config(Secure))
	answers := work(t, d)
	for _, outcome := range []event.Outcome{event.Alert, event.Inconclusive, "", "PASS", "pass ", "unknown"} {
		e := sample(outcome)
		if d.Announce(&e) {
			t.Errorf("%q is announced as a pass", outcome)
		}
		if diff := cmp.Diff(&event.Door{Output: "modbus", Commanded: new(false)}, e.Data.Door); diff != "" {
			t.Error(diff)
		}
		d.Open(e) // by mistake
		if got := answer(t, answers); *got.Commanded || got.Accepted != nil {
			t.Errorf("%q opened the door: %+v", outcome, got)
		}
	}
	if server.wasOn() {
		t.Error("the coil was switched on")
	}
	e := sample(event.Pass)
	if !d.Announce(&e) {
		t.Fatal("a pass is not announced")
	}
	if e.Data.Door.Commanded != nil || e.Data.Door.Accepted != nil || e.Data.Door.Error == "" {
		t.Errorf("before the answer it is said to be %+v", e.Data.Door)
	}
	d.Open(e)
	if diff := cmp.Diff(event.Door{Output: "modbus", Commanded: new(true), Accepted: new(true)}, answer(t, answers), noSeconds); diff != "" {
		t.Error(diff)
	}
}

func FuzzOutcome(f *testing.F) {
	f.Add("pass")
	f.Add("inconclusive")
	f.Fuzz(func(t *testing.T, outcome string) {
		opened := false
		d := &Door{cfg: DefaultConfig(), calls: quietCalls(), log: slog.New(slog.DiscardHandler), output: outputFunc(func() error { opened = true; return nil })}
		e := sample(event.Outcome(outcome))
		announced := d.Announce(&e)
		got := d.carryOut(command{e, time.Now()})
		if pass := outcome == "pass"; opened != pass || announced != pass || *got.Data.Door.Commanded != pass {
			t.Errorf("%q: opened %v, announced %v", outcome, opened, announced)
		}
	})
}

// outputFunc is an output that only opens.
type outputFunc func() error

func (f outputFunc) open(context.Context, event.Event) error { return f() }
func (f outputFunc) lock(context.Context) (bool, error)      { return false, nil }
func (f outputFunc) opened() bool                            { return false }
func (f outputFunc) tend(context.Context) error              { return nil }
func (f outputFunc) when() time.Time                         { return time.Time{} }
func (f outputFunc) rest(context.Context) error              { return nil }
func (f outputFunc) probe(context.Context) (string, error)   { return "", nil }

// TestWhoMayNotGoInOpensNothing asks whether the person may go in at the moment in which the door would be told.
func TestWhoMayNotGoInOpensNothing(t *testing.T) {
	server := startCoils(t)
	d := newDoor(t, server.config(Secure))
	asked := make(chan string, 10)
	d.calls.May = func(e event.Event) error { asked <- e.ID; return errors.New("somebody else stands nearer") }
	answers := work(t, d)
	e := sample(event.Pass)
	d.Open(e)
	want := event.Door{Output: "modbus", Commanded: new(false), Error: "not told to open: somebody else stands nearer"}
	if diff := cmp.Diff(want, answer(t, answers)); diff != "" {
		t.Error(diff)
	}
	if id := <-asked; id != e.ID {
		t.Errorf("asked about %s", id)
	}
	d.Skip(e, "the person had gone")
	if got := answer(t, answers); *got.Commanded || got.Error != "not told to open: the person had gone" {
		t.Errorf("%+v", got)
	}
	if server.wasOn() || len(asked) > 0 {
		t.Error("it opened, or asked about somebody who was to be skipped")
	}
}

func TestOldVerdictOpensNothing(t *testing.T) {
	server := startCoils(t)
	d := newDoor(t, server.config(Secure))
	answers := work(t, d)
	e := sample(event.Pass)
	e.Time = time.Now().Add(-MaxAge - time.Millisecond)
	d.Open(e)
	if got := answer(t, answers); *got.Commanded || got.Accepted != nil || !strings.Contains(got.Error, "the verdict was already ") {
		t.Errorf("%+v", got)
	}
	if server.wasOn() {
		t.Error("it opened")
	}
}

// TestDoorThatHangs proves that nobody waits for it longer than its time, however many pass meanwhile.
func TestDoorThatHangs(t *testing.T) {
	server := startCoils(t)
	server.hang()
	d := newDoor(t, server.config(Secure))
	d.cfg.Timeout = 6 * time.Second
	const slack = 5 * time.Second // of a machine that does much else; who waited for the door would take longer
	answers := work(t, d)
	told := map[string]time.Time{}
	for i := range queue + 10 {
		e := sample(event.Pass)
		e.ID = string(rune('A' + i))
		told[e.ID] = time.Now()
		d.Open(e)
		if took := time.Since(told[e.ID]); took > slack {
			t.Fatalf("telling the door took %v", took)
		}
	}
	var commanded int
	for range told {
		e := <-answers
		if took := time.Since(told[e.ID]); took > d.cfg.Timeout+slack {
			t.Errorf("%v until an answer", took)
		}
		if e.Data.Door.Accepted != nil || e.Data.Door.Error == "" {
			t.Errorf("a door that says nothing is said to %+v", e.Data.Door)
		}
		if *e.Data.Door.Commanded {
			commanded++
		}
	}
	if commanded > 2 || d.Err() == nil {
		t.Errorf("told %d times, error %v", commanded, d.Err())
	}
	server.recover()
	d.Open(sample(event.Pass))
	for got := answer(t, answers); got.Accepted == nil; got = answer(t, answers) { // it may be busy with its care
		d.Open(sample(event.Pass))
	}
	if d.Err() != nil {
		t.Errorf("error %v once it obeys again", d.Err())
	}
}

func TestConfigNamesTheKey(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"output: ":              func(c *Config) { c.Output = "relay" },
		"fail: ":                func(c *Config) { c.Fail = "" },
		"fail: a webhook":       func(c *Config) { c.Fail = Safe },
		"pulse: ":               func(c *Config) { c.Pulse = time.Hour },
		"timeout: ":             func(c *Config) { c.Timeout = 3 * time.Second },
		"webhook.url: it":       func(c *Config) { c.Webhook.URL = "door.example/open" },
		"webhook.url: user":     func(c *Config) { c.Webhook.URL = "https://a:secret@door.example" },
		"webhook.secret_file: ": func(c *Config) { c.Webhook.SecretFile = "" },
		"webhook.ca_file: ":     func(c *Config) { c.Webhook.URL, c.Webhook.CAFile = "http://door.example", "ca.pem" },
		"modbus.address: ":      func(c *Config) { c.Output, c.Modbus.Address = Modbus, "door.example" },
		"modbus.unit: ":         func(c *Config) { c.Output, c.Modbus.Unit = Modbus, 256 },
		"modbus.coil: ":         func(c *Config) { c.Output, c.Modbus.Coil = Modbus, -1 },
		"gpio.chip: ":           func(c *Config) { c.Output, c.GPIO.Chip = GPIO, "" },
		"gpio.line: ":           func(c *Config) { c.Output, c.GPIO.Line = GPIO, -1 },
	} {
		c := DefaultConfig()
		c.Output = Webhook
		c.Webhook.URL, c.Webhook.SecretFile = "https://door.example/open", "secret"
		c.Modbus.Address = "door.example:502"
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "a:secret") {
			t.Errorf("%s… expected, got %v", want, err)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

// record is a wire that notes what is asked of it; it fails while broken is set.
type record struct {
	levels []bool
	broken error
}

func (r *record) set(_ context.Context, energised bool) error {
	r.levels = append(r.levels, energised)
	return r.broken
}
func (r *record) probe(context.Context) (string, error) { return "", nil }
func (r *record) close()                                {}

func TestLevelsOfALock(t *testing.T) {
	const on, off = true, false
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		fail Fail
		do   func(*lock, *record)
		want []bool
	}{
		"secure: on to open":          {Secure, func(l *lock, _ *record) { tend(l); open(l); expire(l); tend(l); rest(l) }, []bool{off, on, off, off}},
		"safe: on to keep locked":     {Safe, func(l *lock, _ *record) { tend(l); open(l); expire(l); tend(l); rest(l) }, []bool{on, off, on, off}},
		"a pulse outlives its care":   {Secure, func(l *lock, _ *record) { open(l); tend(l); tend(l); expire(l); tend(l) }, []bool{on, on, on, off}},
		"what failed is taken back":   {Secure, func(l *lock, w *record) { w.broken = broken; open(l); w.broken = nil; tend(l) }, []bool{on, off}},
		"safe: taken back too":        {Safe, func(l *lock, w *record) { w.broken = broken; open(l); tend(l); tend(l) }, []bool{off, on, on}},
		"one pass does not end other": {Secure, func(l *lock, w *record) { open(l); w.broken = broken; open(l); w.broken = nil; tend(l) }, []bool{on, on, on}},
		"locked before its time":      {Secure, func(l *lock, _ *record) { open(l); cut(l); cut(l); tend(l) }, []bool{on, off, off}},
		"safe: before its time":       {Safe, func(l *lock, _ *record) { open(l); cut(l); cut(l); tend(l) }, []bool{off, on, on}},
		"the end ends a pulse":        {Secure, func(l *lock, _ *record) { open(l); rest(l) }, []bool{on, off}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &record{}
			cfg := DefaultConfig()
			cfg.Fail = test.fail
			test.do(newLock(w, cfg), w)
			if !slices.Equal(w.levels, test.want) {
				t.Errorf("levels %v, want %v", w.levels, test.want)
			}
		})
	}
}

func open(l *lock) error { return l.open(context.Background(), sample(event.Pass)) }
func tend(l *lock) error { return l.tend(context.Background()) }
func cut(l *lock) bool   { was, _ := l.lock(context.Background()); return was }
func rest(l *lock) error { return l.rest(context.Background()) }
func expire(l *lock)     { l.openUntil = time.Now() }

func TestDoorThatMayStandOpenIsTold(t *testing.T) {
	w := &record{broken: refusal{errors.New("nobody listens")}}
	l := newLock(w, DefaultConfig())
	if err := errors.Join(open(l), tend(l)); strings.Contains(err.Error(), "may stand open") {
		t.Errorf("error %v of a door that was never told", err)
	}
	w.broken = nil
	if err := open(l); err != nil {
		t.Fatal(err)
	}
	expire(l)
	w.broken = errors.New("cable cut")
	if err := tend(l); err == nil || !strings.Contains(err.Error(), "may stand open") || time.Until(l.when()) > retry {
		t.Errorf("error %v, tried again in %v", err, time.Until(l.when()))
	}
	w.broken = nil
	if err := tend(l); err != nil {
		t.Error(err)
	}
	if err := open(l); err != nil {
		t.Fatal(err)
	}
	w.broken = errors.New("cable cut")
	if _, err := l.lock(context.Background()); err == nil || !strings.Contains(err.Error(), "may stand open") || time.Until(l.when()) > retry {
		t.Errorf("locked before its time: error %v, tried again in %v", err, time.Until(l.when()))
	}
	w.broken = nil
	if err := tend(l); err != nil {
		t.Error(err)
	}
	w.broken = errors.New("cable cut")
	if err := tend(l); err == nil || strings.Contains(err.Error(), "may stand open") {
		t.Errorf("error %v of a door that is locked", err)
	}
}
