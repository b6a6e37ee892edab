package district

import (
	"context"
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

// answerLimit is for what is asked of servers: a machine that does much else has them answer late.
const answerLimit = time.Minute

// asking asks servers over a connection.
func asking(t *testing.T, conn *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(answerLimit))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// stream makes the stream of a district.
func stream(t *testing.T, conn *nats.Conn, cfg StreamConfig) jetstream.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
	defer cancel()
	made, err := EnsureStream(ctx, asking(t, conn), cfg)
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

// streamInfo asks the stream how it stands, again where that is lost: servers that have just started lose what they are asked.
func streamInfo(t *testing.T, s jetstream.Stream) (info *jetstream.StreamInfo) {
	t.Helper()
	eventually(t, "stream that answers", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), askLimit)
		defer cancel()
		var err error
		info, err = s.Info(ctx)
		return err == nil
	})
	return info
}

// streamed is how many messages are in the stream.
func streamed(t *testing.T, s jetstream.Stream) uint64 {
	t.Helper()
	return streamInfo(t, s).State.Msgs
}

// stored are the ids of all messages in the stream, in order.
func stored(t *testing.T, s jetstream.Stream) []string {
	t.Helper()
	count := streamed(t, s)
	if count == 0 {
		return nil
	}
	var consumer jetstream.Consumer
	eventually(t, "consumer", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), askLimit)
		defer cancel()
		var err error
		consumer, err = s.CreateConsumer(ctx, jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Hour, MaxAckPending: -1})
		return err == nil
	})
	defer s.DeleteConsumer(context.WithoutCancel(t.Context()), consumer.CachedInfo().Name)
	var ids []string
	for _, m := range fetched(t, consumer, count) {
		ids = append(ids, m.Headers().Get(jetstream.MsgIDHeader))
	}
	return ids
}

// fetched is so many messages of a consumer. The servers may not have agreed yet which of them it is at, or be busy.
func fetched(t *testing.T, consumer jetstream.Consumer, count uint64) (all []jetstream.Msg) {
	t.Helper()
	eventually(t, fmt.Sprint("way for ", count, " messages out of the stream"), func() bool {
		if uint64(len(all)) == count {
			return true
		}
		batch, err := consumer.Fetch(int(count)-len(all), jetstream.FetchMaxWait(5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		for m := range batch.Messages() {
			all = append(all, m)
		}
		return uint64(len(all)) == count
	})
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
