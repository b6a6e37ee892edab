package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"thermogate/screening/console/district"
	"thermogate/screening/console/district/onenode"
	"thermogate/screening/console/store"
	"thermogate/screening/event"
	"thermogate/screening/listen"
	"thermogate/screening/mqtt"
	"thermogate/screening/settings"
	"thermogate/testdata"
)

// TestGateLinksNoServer keeps the gate's program without a NATS server, which the console's has.
func TestGateLinksNoServer(t *testing.T) {
	for program, has := range map[string]bool{"thermogate": false, "thermogate-console": true} {
		out, err := exec.Command("go", "list", "-deps", "thermogate/cmd/"+program).Output()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "github.com/nats-io/nats-server/") != has {
			t.Errorf("%s links a NATS server: %v", program, !has)
		}
	}
}

// TestExampleDistrictConfig has the file in deploy show every key with its default.
func TestExampleDistrictConfig(t *testing.T) {
	data, err := os.ReadFile("../../deploy/thermogate-district.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cfg DistrictConfig
	if err := settings.Parse(data, &cfg, func() error { return cfg.Validate() }, "it"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(DefaultDistrictConfig(), cfg, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(listen.Config{})); diff != "" {
		t.Error(diff)
	}
}

// newDistrict has a district's console run with a server of its own, and returns a way for plants to tell it something.
func newDistrict(t testing.TB) (guard *browser, address string, plants jetstream.JetStream) {
	t.Helper()
	cfg := DefaultDistrictConfig()
	dir := t.TempDir()
	cfg.Store.File, cfg.HTTP.Listen = filepath.Join(dir, "district.db"), "127.0.0.1:0"
	cfg.District.MaxGigabytes = 1
	cfg.District.Own.Listen, cfg.District.Own.Folder = "127.0.0.1:0", filepath.Join(dir, "nats")
	logged := new(testdata.Text)
	log := slog.New(slog.NewTextHandler(logged, nil))
	server, err := onenode.Start(cfg.District.Own, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	conn, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	c, err := OpenDistrict(t.Context(), cfg, conn, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	runToTheEnd(t, c)
	user, password := server.Made()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	plant, err := district.Connect(district.Config{Servers: []string{server.URL()}, User: user, PasswordFile: secret}, "plant", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plant.Close)
	if plants, err = jetstream.New(plant, jetstream.WithDefaultTimeout(time.Minute)); err != nil { // the machine may do much else
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !plant.IsConnected() || !c.receiver.State().Connected; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not receive: %s", logged)
		}
	}
	once := regexp.MustCompile(`name=admin password=(\S+)`).FindStringSubmatch(logged.String())
	if once == nil {
		t.Fatalf("the first start tells no password:\n%s", logged)
	}
	guard = browse(t, "http://"+c.Address())
	guard.post("/login", url.Values{"name": {"admin"}, "password": {once[1]}})
	guard.post("/password", url.Values{"old": {once[1]}, "password": {"correct horse"}, "again": {"correct horse"}})
	return guard, c.Address(), plants
}

func tellAlert(t testing.TB, plants jetstream.JetStream, site string) string {
	t.Helper()
	id := ulid.Make().String()
	body, err := json.Marshal(event.Event{
		SpecVersion: "1.0", ID: id, Source: event.Source(site, "north"), Type: "thermogate.screening.alert.v1", Time: time.Now().UTC(),
		DataContentType: "application/json", Data: event.Data{Outcome: event.Alert, Reason: event.AboveThreshold, Camera: "test", Version: "test"},
	})
	if err == nil {
		_, err = plants.PublishMsg(t.Context(), &nats.Msg{Subject: district.Subject(site, district.EventKind), Data: body, Header: nats.Header{jetstream.MsgIDHeader: {id}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestFromPlantToDistrict has an alert of a plant come to the pages of its district, and its metrics and health tell of it.
func TestFromPlantToDistrict(t *testing.T) {
	guard, address, plants := newDistrict(t)
	get := func(path string) string {
		t.Helper()
		answer, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	id := tellAlert(t, plants, "north plant")
	for deadline := time.Now().Add(time.Minute); !strings.Contains(guard.get("/?lang=en"), "/alerts/"+id); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the alert is not on the page:\n%s", guard.get("/"))
		}
	}
	if body := get("/readyz"); !strings.Contains(body, `"ok"`) {
		t.Errorf("it is not ready: %s", body)
	}
	const well = `thermogate_district_sites{state="well"} 1`
	metrics := get("/metrics")
	for deadline := time.Now().Add(time.Minute); !strings.Contains(metrics, well) && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		metrics = get("/metrics") // the event of a new gate is counted some moments after it is stored
	}
	for _, line := range []string{
		"thermogate_district_connected 1", `thermogate_district_messages_total{kind="event"} 1`, "thermogate_district_refused_total 0",
		"thermogate_district_delay_seconds_count 1", well, "thermogate_console_open_alerts 1",
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
	if strings.Contains(metrics, "thermogate_console_broker_connected") {
		t.Error("a district has no broker")
	}
}

// TestAlertToDistrictPage takes the time from an event in its plant to the page of the district, as its live update tells it.
func TestAlertToDistrictPage(t *testing.T) {
	guard, _, plants := newDistrict(t)
	answer, err := guard.http.Get(guard.base + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	opened := make(chan int, 1000)
	go func() {
		buffer, text := make([]byte, 64<<10), ""
		for {
			n, err := answer.Body.Read(buffer)
			if err != nil {
				return
			}
			text += string(buffer[:n])
			for {
				line, rest, found := strings.Cut(text, "\n")
				if !found {
					break
				}
				text = rest
				var news struct{ Open int }
				if data, is := strings.CutPrefix(line, "data: "); is && json.Unmarshal([]byte(data), &news) == nil {
					opened <- news.Open
				}
			}
		}
	}()
	const alerts = 60
	var took []time.Duration
	for n := range alerts {
		begin := time.Now()
		tellAlert(t, plants, fmt.Sprint("plant ", n%20))
		for open := range opened {
			if open > n {
				break
			}
			if time.Since(begin) > time.Minute {
				t.Fatal("an alert is not on the page")
			}
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("alert to page: median %v, p99 %v, longest %v", took[alerts/2], took[alerts*99/100], took[alerts-1])
}

// TestNoDistrictInThePlaceOfAPlant has somebody start a district with the store of a plant's console, which knows who people are.
func TestNoDistrictInThePlaceOfAPlant(t *testing.T) {
	cfg := DefaultDistrictConfig()
	cfg.Store.File, cfg.HTTP.Listen = filepath.Join(t.TempDir(), "console.db"), "127.0.0.1:0"
	quiet := slog.New(slog.DiscardHandler)
	s, err := store.Open(t.Context(), cfg.Store, quiet)
	if err != nil {
		t.Fatal(err)
	}
	gate, at := mqtt.Gate{Site: "plant", Name: "north"}, time.Now()
	body, err := json.Marshal(event.Event{SpecVersion: "1.0", ID: ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String(), Source: event.Source(gate.Site, gate.Name), Time: at,
		Data: event.Data{Outcome: event.Pass, Person: &event.Bearer{ID: "a1", By: "desk"}}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := store.NewEvent(gate, body, at)
	if err == nil {
		_, err = s.Append(t.Context(), []store.Event{e})
	}
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDistrict(t.Context(), cfg, nil, "test", quiet); err == nil || !strings.Contains(err.Error(), "a plant's console") {
		t.Errorf("it is opened: %v", err)
	}
}
