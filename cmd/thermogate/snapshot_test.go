package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"thermogate/camera"
	"thermogate/screening/event"
	"thermogate/screening/mqtt"
	"thermogate/testdata"
)

// TestAlertHasAPicture lets somebody with a fever before a gate that is to take pictures, and before one that is not.
func TestAlertHasAPicture(t *testing.T) {
	for name, on := range map[string]bool{"on": true, "off": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := defaultConfig()
			c.DataDir, c.HTTP.Listen, c.Broker.Listen = t.TempDir(), "127.0.0.1:0", testdata.FreeAddress(t)
			c.MQTT.Snapshots = on
			scenario := filepath.Join(t.TempDir(), "fever.yaml")
			if err := os.WriteFile(scenario, []byte("people: [{at: 1s, skin_celsius: 38, stand: 20s, height_metres: 1.64, seed: 7000}]\nrepeat: true\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			var logged testdata.Text
			s, err := openStation(t.Context(), c, func(ctx context.Context) (camera.Source, error) {
				return openLive(ctx, "simulator:"+scenario, camera.Options{})
			}, slog.New(slog.NewTextHandler(&logged, nil)))
			if err != nil {
				t.Fatal(err)
			}
			messages := make(chan paho.Message, 100)
			client := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + c.Broker.Listen).SetClientID("test"))
			if token := client.Connect(); token.Wait() && token.Error() != nil {
				t.Fatal(token.Error())
			}
			for _, filter := range []string{"thermogate/site/gate/snapshot/+", "thermogate/site/gate/screening/+"} {
				client.Subscribe(filter, 1, func(_ paho.Client, m paho.Message) { messages <- m }).Wait()
			}
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { _ = s.run(ctx) })
			alerts, picture := map[string]bool{}, "" // there may be a second alert
			for deadline := time.After(3 * time.Minute); len(alerts) == 0 || on && !alerts[picture]; {
				select {
				case m := <-messages:
					if id, ok := strings.CutPrefix(m.Topic(), "thermogate/site/gate/snapshot/"); ok {
						picture = id
						looked(t, m)
						continue
					}
					var e event.Event
					if err := json.Unmarshal(m.Payload(), &e); err != nil {
						t.Fatal(err)
					}
					if e.Data.Outcome == event.Alert {
						alerts[e.ID] = true
					}
				case <-deadline:
					t.Fatalf("alerts %v, picture of %q; the gate says\n%s", alerts, picture, logged.String())
				}
			}
			client.Disconnect(0)
			cancel()
			running.Wait()
			s.close()
			if !on && (picture != "" || len(s.snapshots) > 0) {
				t.Error("a picture is taken that nobody wants")
			}
			if strings.Contains(logged.String(), `PNG\r\n`) {
				t.Errorf("the log has the picture:\n%s", logged.String())
			}
		})
	}
}

// looked checks that a message is a small picture, and keeps it where `go test -artifacts` does.
func looked(t *testing.T, m paho.Message) {
	t.Helper()
	if m.Retained() || m.Qos() != 0 || len(m.Payload()) > mqtt.MaxSnapshotBytes {
		t.Errorf("a picture of %d bytes, retained %v, QoS %d", len(m.Payload()), m.Retained(), m.Qos())
	}
	if _, err := png.Decode(bytes.NewReader(m.Payload())); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), "alert.png"), m.Payload(), 0o600); err != nil {
		t.Fatal(err)
	}
}
