package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"thermogate/screening/event"
	"thermogate/screening/journal"
	"thermogate/testdata"
)

// listener has what a gate publishes.
type listener struct {
	mu     sync.Mutex
	events []event.Event
	bodies []string
}

func hear(t *testing.T, broker string) *listener {
	t.Helper()
	l := &listener{}
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + broker).SetClientID("test"))
	if token := client.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { client.Disconnect(0) })
	client.Subscribe("thermogate/#", 1, func(_ paho.Client, m paho.Message) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.bodies = append(l.bodies, m.Topic()+" "+string(m.Payload()))
		var e event.Event
		if strings.Contains(m.Topic(), "/screening/") && json.Unmarshal(m.Payload(), &e) == nil {
			l.events = append(l.events, e)
		}
	}).Wait()
	return l
}

func (l *listener) all() ([]event.Event, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]event.Event(nil), l.events...), strings.Join(l.bodies, "\n")
}

func visitConsole(t *testing.T, r running) testdata.Visitor {
	t.Helper()
	v := testdata.Visit(t, r.console)
	v.LogIn("admin", r.password, "correct horse battery")
	return v
}

// temperatures are those of people in what is told of them: any key of JSON of one, and the numbers that are known, as text
// and as SQLite has them.
type temperatures []float64

func (t *temperatures) add(e event.Event) {
	for _, celsius := range []*float64{e.Data.SkinCelsius, e.Data.BodyCelsius, e.Data.BaselineCelsius, e.Data.FaceCelsius} {
		if celsius != nil {
			*t = append(*t, *celsius)
		}
	}
}

var celsiusKey = regexp.MustCompile(`"(skin|body|face|baseline|threshold|offset|skin_uncertainty|body_uncertainty)_celsius\\?":|\\?"face\\?":\{`)

func (t temperatures) in(what []byte) string {
	if key := celsiusKey.Find(what); key != nil {
		return string(key)
	}
	for _, number := range t {
		if bytes.Contains(what, binary.BigEndian.AppendUint64(nil, math.Float64bits(number))) {
			return fmt.Sprintf("%g, in binary", number)
		}
		if text := regexp.MustCompile(`[^0-9:]` + regexp.QuoteMeta(fmt.Sprintf("%.2f", number)) + `[^0-9]`).Find(what); text != nil {
			return string(text)
		}
	}
	return ""
}

// TestOutcomeOnlyLeavesNoTemperature runs a recording of somebody with a fever at a gate that tells outcomes only, and at one
// whose console keeps nothing else. No temperature is left in any file, export, log or page.
func TestOutcomeOnlyLeavesNoTemperature(t *testing.T) {
	recording := testdata.Shared(t, "recordings", "20210523-214354.tiff")
	for name, atGate := range map[string]bool{"gate": true, "console": false} {
		t.Run(name, func(t *testing.T) {
			r := runWithConsole(t, fmt.Sprintf("outcome_only: %t\ncamera:\n  uri: %s\n", atGate, recording), "")
			heard := hear(t, r.broker)
			v := visitConsole(t, r)
			if !atGate {
				v.Post("/admin/retention/outcome", url.Values{"site": {"plant"}, "only": {"yes"}, "typed": {"plant"}})
				for page := "erasing"; strings.Contains(page, "erasing"); time.Sleep(50 * time.Millisecond) { // what came before
					if page = v.Get("/admin/retention?lang=en"); !strings.Contains(page, "<b>outcomes only") {
						t.Fatalf("the console keeps temperatures:\n%s", page)
					}
				}
			}
			alert := regexp.MustCompile(`action="/alerts/([0-9A-Z]{26})/take"`)
			var found []string
			for deadline := time.Now().Add(2 * time.Minute); found == nil; time.Sleep(100 * time.Millisecond) {
				if found = alert.FindStringSubmatch(v.Get("/")); time.Now().After(deadline) {
					t.Fatalf("no alert comes\n%s", r.log)
				}
			}
			id := found[1]
			v.Post("/alerts/"+id+"/take", url.Values{"version": {"0"}})
			v.Post("/alerts/"+id+"/read", url.Values{"version": {"1"}, "value": {"38.47"}, "unit": {"°C"}, "place": {"ear"}})
			v.Post("/alerts/"+id+"/close", url.Values{"version": {"2"}, "outcome": {"confirmed"}})
			if closed := v.Get("/history?lang=en&state=confirmed"); !strings.Contains(closed, id) || !strings.Contains(closed, "not kept") {
				t.Errorf("the history has\n%s", closed)
			}

			events, published := heard.all()
			people := temperatures{38.47}
			for _, e := range events {
				people.add(e)
			}
			if len(events) == 0 || atGate != (len(people) == 1) {
				t.Fatalf("the gate has published %d events with %d temperatures", len(events), len(people)-1)
			}
			places := map[string][]byte{"log": []byte(r.log.String())}
			if atGate {
				own := regexp.MustCompile(`(?m)^thermogate_.*\n`).FindAllString(get(t, r.gate+"/metrics"), -1) // not the seconds of its processor
				places["MQTT"], places["metrics"] = []byte(published), []byte(strings.Join(own, ""))
				places["the gate's pages"] = stream(t, r.gate)
				if !strings.Contains(string(places["metrics"]), "thermogate_skin_temperature_celsius_count 0\n") {
					t.Error("the metrics have somebody's temperature")
				}
			}
			folder := filepath.Join(r.data, "console")
			if atGate {
				folder = r.data
			}
			err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
				if err == nil && entry.Type().IsRegular() && filepath.Base(path) != "memory.json" { // of the group, and of nobody
					places[filepath.Base(path)], err = os.ReadFile(path)
				}
				return err
			})
			if err != nil || places["console.db"] == nil {
				t.Fatal(err)
			}
			for _, path := range []string{
				"/", "/alerts/" + id, "/events/" + id, "/events/" + id + "/export.json", "/history", "/history.csv", "/study/pairs.csv", "/gates", "/gates/plant/north", "/load", "/admin/audit",
			} {
				places[path] = []byte(v.Get(path))
			}
			for place, what := range places {
				if temperature := people.in(what); temperature != "" {
					t.Errorf("%s has %q", place, temperature)
				}
			}
		})
	}
}

// stream is what the gate tells an open page of guards, up to its first verdict.
func stream(t *testing.T, gate string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, gate+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var told []byte
	for part := make([]byte, 4096); !bytes.Contains(told, []byte("event: verdict")); {
		n, err := answer.Body.Read(part)
		if told = append(told, part[:n]...); err != nil {
			t.Fatalf("%v, after\n%s", err, told)
		}
	}
	return told
}

// TestJournalForgets opens the journal of a gate that told all before, as one that tells outcomes only.
func TestJournalForgets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	skin := 36.617
	var people temperatures
	for _, only := range []bool{false, true, true} {
		cfg := defaultConfig()
		cfg.OutcomeOnly = only
		j, err := journal.Open(t.Context(), path, cfg.journal(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		e := event.Event{ID: event.NewIDs(rand.Reader).At(time.Now()), Time: time.Now(), Data: event.Data{Outcome: event.Alert, SkinCelsius: &skin, Face: &event.Box{X: 1}}}
		people.add(e)
		if err := j.Append(t.Context(), cfg.leaves(e)); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		n := 0
		err = journal.List(t.Context(), path, journal.Filter{}, func(entry journal.Entry) error {
			if n++; only && (entry.Event.Data.SkinCelsius != nil || !entry.Event.Data.OutcomeOnly || entry.Event.Data.Outcome != event.Alert) {
				t.Errorf("kept is %+v", entry.Event.Data)
			}
			return nil
		})
		data, readErr := os.ReadFile(path)
		if err != nil || readErr != nil || n == 0 {
			t.Fatal(n, err, readErr)
		}
		if temperature := people.in(data); only && temperature != "" {
			t.Errorf("the file has %q", temperature)
		} else if !only && temperature == "" {
			t.Error("this test can't tell")
		}
	}
}

func TestOutcomeOnlyHasNoPictures(t *testing.T) {
	for key, change := range map[string]func(*config){
		"mqtt.snapshots":      func(c *config) { c.MQTT.Snapshots = true },
		"clips.around_alerts": func(c *config) { c.Clips.AroundAlerts = true },
	} {
		c := defaultConfig()
		change(&c)
		if err := c.validate(); err != nil {
			t.Error(err)
		}
		c.OutcomeOnly = true
		if err := c.validate(); err == nil || !strings.HasPrefix(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
