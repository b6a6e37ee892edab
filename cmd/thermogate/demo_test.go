package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"thermogate/camera"
	"thermogate/screening/event"
	"thermogate/testdata"
)

// TestDemo runs the whole gate and looks at it from outside: an event over MQTT, the pages, the metrics, the end.
func TestDemo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // of a machine that does much else
	defer cancel()
	printed, out := io.Pipe()
	ended := make(chan error, 1)
	var logs testdata.Text
	go func() {
		err := demo(ctx, nil, camera.Options{}, out, &logs)
		out.CloseWithError(err) // where it ends before it has said everything
		ended <- err
	}()
	pages, broker, console := addresses(t, printed)

	e := firstEvent(t, ctx, broker)
	if e.Source != "/demo/gate-1" || e.Data.Camera == "" || e.Data.SecondsToVerdict == nil {
		t.Errorf("event %+v", e)
	}
	soon(t, "it is ready", func() bool { return strings.Contains(get(t, pages+"readyz"), `"ok"`) }) // frames may just have been late
	counted := regexp.MustCompile(`thermogate_screenings_total\{.*\} [1-9]`)
	metrics := get(t, pages+"metrics")
	for !counted.MatchString(metrics) { // an event may be out before it is counted
		if ctx.Err() != nil {
			t.Fatal("the metrics count no screening")
		}
		metrics = get(t, pages+"metrics")
	}
	lint(t, metrics)
	if page := get(t, pages); !strings.Contains(page, "<html") {
		t.Errorf("the worker's page is %.80s", page)
	}
	received := regexp.MustCompile(`(?m)^thermogate_console_events_total [1-9]`)
	for metrics := ""; !received.MatchString(metrics); metrics = get(t, console+"metrics") {
		if ctx.Err() != nil {
			t.Fatalf("the console receives no event: %s", metrics)
		}
	}

	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("does not end")
	}
	if strings.Contains(logs.String(), "nobody sees to an alert") {
		t.Error("made-up alerts of the past went to the shift leader")
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind %v, %v", left, err)
	}
}

// addresses reads what the demo prints until it has said everything.
func addresses(t *testing.T, printed io.Reader) (pages, broker, console string) {
	t.Helper()
	lines := bufio.NewScanner(printed)
	for lines.Scan() {
		if m := regexp.MustCompile(`worker's page +(http://\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			pages = m[1]
		}
		if m := regexp.MustCompile(`-L mqtt://([^/]+)/`).FindStringSubmatch(lines.Text()); m != nil {
			broker = m[1]
		}
		if m := regexp.MustCompile(`console +(http://\S+) +log in as \w+, password \w+`).FindStringSubmatch(lines.Text()); m != nil {
			console = m[1]
		}
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			break
		}
	}
	if pages == "" || broker == "" || console == "" {
		t.Fatalf("the demo printed no addresses: %v", lines.Err())
	}
	return pages, broker, console
}

// firstEvent subscribes as an integrator would and waits for a verdict.
func firstEvent(t *testing.T, ctx context.Context, broker string) event.Event {
	t.Helper()
	payloads := make(chan []byte, 1)
	client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + broker).SetClientID("test").
		SetConnectRetry(true).SetConnectRetryInterval(100 * time.Millisecond))
	if token := client.Connect(); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer client.Disconnect(0)
	token := client.Subscribe("thermogate/demo/gate-1/screening/+", 1, func(_ paho.Client, m paho.Message) {
		select {
		case payloads <- m.Payload():
		default:
		}
	})
	if token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	var e event.Event
	select {
	case payload := <-payloads:
		if err := json.Unmarshal(payload, &e); err != nil {
			t.Fatalf("%v in %s", err, payload)
		}
	case <-ctx.Done():
		t.Fatal("no event came")
	}
	return e
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// lint has Prometheus' own tool look at the metrics.
func lint(t *testing.T, metrics string) {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian package prometheus)")
	}
	command := exec.Command(promtool, "check", "metrics")
	command.Stdin = strings.NewReader(metrics)
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, output)
	}
}
