package district

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// StreamConfig is how the stream keeps what a district has yet to store.
type StreamConfig struct {
	// Replicas are on how many servers each message is: 3 in a cluster, 1 on a server alone.
	Replicas int
	// MaxBytes bounds the stream. Plants keep what a full one refuses.
	MaxBytes int64
}

// mostOfKind is how many messages of one kind of a site wait in the stream at most. The plant keeps what is beyond it, so that
// one that floods the stream takes neither its room nor hours of the others.
const mostOfKind = 10_000

// repeatWindow is for how long the stream knows the ids of its messages. What is sent again later, the district knows.
const repeatWindow = 10 * time.Minute

// noStorage is the code of a server's error: it has not the disk that the stream may take.
const noStorage jetstream.ErrorCode = 10047

// EnsureStream makes the stream, or has one that is there keep messages as it should. That is for the district's console:
// plants only publish.
func EnsureStream(ctx context.Context, js jetstream.JetStream, cfg StreamConfig) (jetstream.Stream, error) {
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        Stream,
		Description: "what plants tell their district, until it is stored",
		Subjects:    append(subjects(UrgentKinds...), subjects(OtherKinds...)...), // no others, or a plant could have as many as it likes
		Storage:     jetstream.FileStorage,
		Replicas:    cfg.Replicas,
		Retention:   jetstream.WorkQueuePolicy,
		Discard:     jetstream.DiscardNew,
		MaxBytes:    cfg.MaxBytes,
		MaxMsgs:     -1,

		MaxMsgsPerSubject:    mostOfKind,
		DiscardNewPerSubject: true,

		Duplicates: repeatWindow,
		DenyDelete: true, // a message leaves when it is stored, in no other way
	})
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		err = fmt.Errorf("switch JetStream on in the server's configuration, for this account: %w", err)
	}
	if api := (*jetstream.APIError)(nil); errors.As(err, &api) && api.ErrorCode == noStorage {
		err = fmt.Errorf("a server has no %d GB of disk left for what waits: give it more, or have less in district.max_gigabytes: %w", cfg.MaxBytes>>30, err)
	}
	if err != nil {
		return nil, fmt.Errorf("making the stream %s: %w", Stream, err)
	}
	return stream, nil
}
