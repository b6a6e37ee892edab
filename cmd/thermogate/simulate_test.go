package main

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thermogate/screening/mqtt"
)

func TestSimulateLoadsABroker(t *testing.T) {
	listen := mqtt.DefaultBrokerConfig()
	listen.Listen = "127.0.0.1:0"
	broker, err := mqtt.StartBroker(listen, mqtt.Gate{Site: "site", Name: "gate"}, filepath.Join(t.TempDir(), "broker.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	command := newSimulateCommand()
	var out bytes.Buffer
	command.SetOut(&out)
	command.SetArgs([]string{"--broker", "mqtt://" + broker.Address, "--gates", "10", "--rate", "10", "--duration", "1s"})
	if err := command.Execute(); err != nil {
		t.Fatal(err)
	}
	told := out.String()
	if !strings.Contains(told, "events missing    0\n") || strings.Contains(told, "events sent       0\n") || strings.Contains(told, "never") {
		t.Errorf("report\n%s", out.String())
	}
	left := make(chan mqtt.Message, 100)
	cfg := mqtt.DefaultConfig()
	cfg.Broker = "mqtt://" + broker.Address
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	subscribed := func() { time.AfterFunc(300*time.Millisecond, cancel) }
	if err := mqtt.Receive(ctx, cfg, "test", []string{"thermogate/#"}, subscribed, func(m mqtt.Message) { left <- m }); err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("the broker still retains %s", (<-left).Topic)
	}
}

func TestSimulateRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"--gates 0":                   "--gates",
		"--rate -1":                   "--rate",
		"--duration 1ms":              "--duration",
		"--broker nowhere":            "--broker",
		"--broker mqtt://127.0.0.1:1": "nothing listens there",
		"--district nowhere":          "--district",
		"--district nats://127.0.0.1:1 --plants 0":                   "--plants",
		"--district nats://127.0.0.1:1 --gates 200":                  "--gates",
		"--district nats://127.0.0.1:1 --ids /nowhere/ids --gates 1": "/nowhere/ids",
	} {
		command := newSimulateCommand()
		command.SilenceErrors, command.SilenceUsage = true, true
		command.SetArgs(strings.Fields(args))
		if err := command.Execute(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", args, err)
		}
	}
}
