package district

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"thermogate/screening/console/district/natstest"
)

// servers runs so many servers for one test.
func servers(t *testing.T, nodes int, options natstest.Options) *natstest.Cluster {
	t.Helper()
	c, err := natstest.Start(nodes, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// connect connects as a user of the servers.
func connect(t *testing.T, cfg Config, name string) *nats.Conn {
	t.Helper()
	conn, err := Connect(cfg, name, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	eventually(t, "a connection", conn.IsConnected)
	return conn
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there is no %s", what)
		}
	}
}

// stream makes the stream of a district.
func stream(t *testing.T, conn *nats.Conn, cfg StreamConfig) jetstream.Stream {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	made, err := EnsureStream(ctx, js, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// publish runs a publisher until the test ends or stop is called.
func publish(t *testing.T, conn *nats.Conn, outbox Outbox) (p *Publisher, stop func()) {
	t.Helper()
	p, err := NewPublisher(conn, outbox, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return p, stop
}

// stored are the ids of all messages in the stream, in order.
func stored(t *testing.T, s jetstream.Stream) []string {
	t.Helper()
	var info *jetstream.StreamInfo
	var consumer jetstream.Consumer
	var err error
	eventually(t, "stream that answers", func() bool { // servers that have just started lose what they are asked
		info, err = s.Info(t.Context())
		return err == nil
	})
	if info.State.Msgs == 0 {
		return nil
	}
	eventually(t, "consumer", func() bool {
		consumer, err = s.CreateConsumer(t.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1})
		return err == nil
	})
	defer s.DeleteConsumer(context.WithoutCancel(t.Context()), consumer.CachedInfo().Name)
	var ids []string
	for _, m := range fetched(t, consumer, info.State.Msgs) {
		ids = append(ids, m.Headers().Get(jetstream.MsgIDHeader))
	}
	return ids
}

// fetched is so many messages of a consumer.
func fetched(t *testing.T, consumer jetstream.Consumer, count uint64) (all []jetstream.Msg) {
	t.Helper()
	for uint64(len(all)) < count {
		batch, err := consumer.Fetch(int(count)-len(all), jetstream.FetchMaxWait(5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		before := len(all)
		for m := range batch.Messages() {
			all = append(all, m)
		}
		if len(all) == before && !errors.Is(batch.Error(), nats.ErrNoResponders) { // they may not have agreed yet which of them the consumer is at
			t.Fatalf("%d of %d messages come out of the stream: %v", len(all), count, batch.Error())
		}
	}
	return all
}

func messages(from, n int) []Message {
	all := make([]Message, n)
	for i := range all {
		all[i] = Message{Site: "plant", Kind: EventKind, ID: fmt.Sprintf("%06d", from+i), Body: []byte(`{"id":1}`)}
	}
	return all
}

func TestAllIsSentOnceAndInOrder(t *testing.T) {
	t.Parallel()
	c := servers(t, 1, natstest.Options{})
	conn := connect(t, Config{Servers: c.URLs()}, "plant")
	s := stream(t, conn, StreamConfig{Replicas: 1, MaxBytes: 64 << 20})
	queue, all := NewQueue(), messages(0, 5000)
	for i := range all {
		all[i].Site = fmt.Sprint("plant ", i%10) // of one the stream has room for less
	}
	queue.Add(all...)
	p, _ := publish(t, conn, queue)
	began := time.Now()
	eventually(t, "end", func() bool { return queue.Len() == 0 })
	t.Logf("%.0f messages a second", 5000/time.Since(began).Seconds())
	ids := stored(t, s)
	if len(ids) != 5000 || p.State().Sent != 5000 {
		t.Fatalf("%d are stored, %d sent", len(ids), p.State().Sent)
	}
	for i, id := range ids {
		if id != fmt.Sprintf("%06d", i) {
			t.Fatalf("message %d is %s", i, id)
		}
	}
}
