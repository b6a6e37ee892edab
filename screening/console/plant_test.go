package console

import (
	"log/slog"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"thermogate/screening/console/district"
	"thermogate/screening/console/district/natstest"
	"thermogate/screening/mqtt"
)

// TestPlantOfADistrict has the metrics of a console tell how it stands with its district, which readiness does not go by.
func TestPlantOfADistrict(t *testing.T) {
	servers, err := natstest.Start(1, natstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(servers.Stop)
	conn, err := nats.Connect(servers.URL(0))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(time.Minute)) // the machine may do much else
	if err != nil {
		t.Fatal(err)
	}
	if _, err := district.EnsureStream(t.Context(), js, district.StreamConfig{Replicas: 1, MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Store.File = filepath.Join(t.TempDir(), "console.db")
	cfg.MQTT.Broker, cfg.HTTP.Listen = startMosquitto(t), "127.0.0.1:0"
	cfg.District.Servers = servers.URLs()
	c := runConsole(t, cfg, slog.New(slog.DiscardHandler))
	north := mqtt.Gate{Site: "plant", Name: "north"}
	if err := c.Store().SetStatus(t.Context(), north, mqtt.StatusMessage{State: "online"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	b := browse(t, "http://"+c.Address())
	has := func(lines ...string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			metrics, missing := b.get("/metrics"), ""
			for _, line := range lines {
				if !regexp.MustCompile("(?m)^thermogate_console_district_" + line + "$").MatchString(metrics) {
					missing = line
				}
			}
			if missing == "" {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the metrics lack %s", missing)
			}
		}
	}
	has("connected 1", "sent_total [2-9]", // the site, the gate, and that the gate is silent where that takes long
		"waiting_messages 0", "refused_total 0")
	if err := servers.KillNode(0); err != nil {
		t.Fatal(err)
	}
	has("connected 0")
	b.get("/readyz")
}
