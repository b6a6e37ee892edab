package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"thermogate/screening/console/district"
	"thermogate/screening/console/district/natstest"
	"thermogate/screening/console/district/onenode"
)

// TestSimulatedPlantsTellTheDistrict reads what is in the stream afterwards.
func TestSimulatedPlantsTellTheDistrict(t *testing.T) {
	servers, err := natstest.Start(3, natstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer servers.Stop()
	conn, err := district.Connect(district.Config{Servers: servers.URLs()}, "test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // of a machine that does much else
	defer cancel()
	stream, err := district.EnsureStream(ctx, js, district.StreamConfig{Replicas: 3, MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	idsFile := filepath.Join(t.TempDir(), "ids")
	command := newSimulateCommand()
	var out bytes.Buffer
	command.SetOut(&out)
	command.SetArgs([]string{"--district", strings.Join(servers.URLs(), ","), "--plants", "4", "--gates", "5", "--rate", "20", "--duration", "2s", "--ids", idsFile})
	if err := command.ExecuteContext(ctx); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
	var want, got []string
	text, err := os.ReadFile(idsFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); fields[0] == "event" {
			want = append(want, fields[1])
		}
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Hour, MaxAckPending: -1})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[district.Kind]int{}
	for n := consumer.CachedInfo().NumPending; n > 0; n-- {
		m, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
		for err != nil && ctx.Err() == nil { // the servers have not agreed yet which of them it is at, or are busy
			m, err = consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
		}
		if err != nil {
			t.Fatal(err)
		}
		_, kind, err := district.ParseSubject(m.Subject())
		if err != nil {
			t.Fatal(err)
		}
		if kinds[kind]++; kind == district.EventKind || kind == district.AlertEventKind {
			got = append(got, m.Headers().Get(jetstream.MsgIDHeader))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) || len(got) < 700 {
		t.Errorf("%d events are in the stream, and %d were made", len(got), len(want))
	}
	if kinds[district.StatusKind] != 20 || kinds[district.ShiftKind] != 4 || kinds[district.SiteKind] < 4 {
		t.Errorf("in the stream are %v", kinds)
	}
	if !strings.Contains(out.String(), fmt.Sprintf("%d events", len(want))) {
		t.Errorf("it tells\n%s", out.String())
	}
}

// TestSimulatedPlantsSayWhoTheyAre to a server that asks, all at once.
func TestSimulatedPlantsSayWhoTheyAre(t *testing.T) {
	cfg := district.DefaultOneNode()
	cfg.Listen, cfg.Folder = "127.0.0.1:0", t.TempDir()
	server, err := onenode.Start(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	conn, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := district.EnsureStream(ctx, js, district.StreamConfig{Replicas: 1, MaxBytes: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	user, password := server.Made()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	command := newSimulateCommand()
	command.SetOut(io.Discard)
	command.SetArgs([]string{"--district", server.URL(), "--user", user, "--password-file", file, "--plants", "60", "--gates", "1", "--duration", "1s"})
	if err := command.ExecuteContext(t.Context()); err != nil {
		t.Error(err)
	}
}
