package onenode

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"thermogate/screening/console/district"
	"thermogate/testdata"
)

func start(t *testing.T, cfg district.OneNode) *Server {
	t.Helper()
	s, err := Start(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func own(t *testing.T, s *Server) jetstream.Stream {
	t.Helper()
	conn, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := district.EnsureStream(ctx, js, district.StreamConfig{Replicas: 1, MaxBytes: 1 << 24})
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// TestServer takes what plants publish, keeps it over a restart, and lets them do nothing else.
func TestServer(t *testing.T) {
	cfg := district.DefaultOneNode()
	cfg.Listen, cfg.Folder = testdata.FreeAddress(t), t.TempDir() // which it has again after its restart
	s := start(t, cfg)
	user, password := s.Made()
	if user != "plants" || password == "" {
		t.Fatalf("plants are to come as %q with %q", user, password)
	}
	own(t, s)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	as := district.Config{Servers: []string{s.URL()}, User: user, PasswordFile: secret}
	if err := as.Validate(); err != nil {
		t.Fatal(err)
	}
	plant, err := district.Connect(as, "plant", slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer plant.Close()
	js, err := jetstream.New(plant)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(id string) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := js.Publish(ctx, district.Subject("plant", district.EventKind), []byte("{}"), jetstream.WithMsgID(id), jetstream.WithRetryAttempts(1000))
		return err
	}
	if err := publish("1"); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"thermogate.other", "$JS.API.STREAM.DELETE." + district.Stream, "$JS.API.CONSUMER.MSG.NEXT." + district.Stream + ".district"} {
		_, err := plant.Request(subject, nil, 500*time.Millisecond)
		if !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("a plant may publish to %s: %v", subject, err)
		}
	}
	if sub, err := plant.SubscribeSync(district.Subjects); err == nil {
		if _, err := sub.NextMsg(500 * time.Millisecond); !errors.Is(err, nats.ErrPermissionViolation) && !errors.Is(err, nats.ErrTimeout) {
			t.Errorf("a plant listens to others: %v", err)
		}
	}
	for _, stranger := range []nats.Option{nats.UserInfo(user, "wrong"), nats.UserInfo(ownUser, password), nats.Name("nobody")} {
		if conn, err := nats.Connect(s.URL(), stranger); err == nil {
			conn.Close()
			t.Error("a stranger is let in")
		}
	}

	s.Close()
	again := start(t, cfg)
	if _, told := again.Made(); told != "" {
		t.Error("another password is made")
	}
	for deadline := time.Now().Add(time.Minute); !plant.IsConnected() && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
	}
	if err := publish("1"); err != nil { // which it knows
		t.Fatal(err)
	}
	if err := publish("2"); err != nil {
		t.Fatal(err)
	}
	if state := own(t, again).CachedInfo().State; state.Msgs != 2 {
		t.Errorf("%d messages are there", state.Msgs)
	}
}

// TestTakenAddress is said kindly.
func TestTakenAddress(t *testing.T) {
	cfg := district.DefaultOneNode()
	cfg.Listen, cfg.Folder = "127.0.0.1:0", t.TempDir()
	s := start(t, cfg)
	cfg.Listen, cfg.Folder = strings.TrimPrefix(s.URL(), "nats://"), t.TempDir()
	if other, err := Start(cfg, slog.New(slog.DiscardHandler)); err == nil {
		other.Close()
		t.Error("two servers have one address")
	} else if !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("it says %v", err)
	}
}
