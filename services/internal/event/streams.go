package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The declared streams. Each of the first two has one writer, the outbox of the service that owns it.
const (
	StreamUser = "USER"
	StreamNote = "NOTE"
	// StreamDead holds events that a consumer gave up, on "dlq.<consumer>", and orders to try one again, on "dlq.<consumer>.replay".
	StreamDead = "DLQ"
)

// Retention is how long streams keep an event, and how long outboxes keep it at least: a stream can be refilled as long.
const Retention = 7 * 24 * time.Hour

// duplicateWindow is as short as the server takes it. Message ids are those of publish attempts and never repeat, see Chain.
const duplicateWindow = 100 * time.Millisecond

// maxMessage is the largest message: events carry bodies of up to 64 kB, and a header with an audience.
const maxMessage = 1 << 20

// defaultStreamBytes bounds a stream's files when the settings say nothing else.
const defaultStreamBytes = 8 << 30

// StreamConfig is the declared configuration of a stream, with its files bounded to maxBytes (0: 8 GiB). A full stream refuses new messages:
// the outbox keeps them, says so in its metrics, and goes on when there is room. It never drops what a slow consumer has not read.
// The error names a stream that is not declared.
func StreamConfig(name string, maxBytes int64) (jetstream.StreamConfig, error) {
	subjects, ok := map[string][]string{
		StreamUser: {"ws.*.user.v1.>", "ws.*.workspace.v1.>"},
		StreamNote: {"ws.*.note.v1.>"},
		StreamDead: {"dlq.>"},
	}[name]
	if !ok {
		return jetstream.StreamConfig{}, fmt.Errorf("stream %q is not declared", name)
	}
	if maxBytes <= 0 {
		maxBytes = defaultStreamBytes
	}
	return jetstream.StreamConfig{
		Name:         name,
		Subjects:     subjects,
		Storage:      jetstream.FileStorage,
		Retention:    jetstream.LimitsPolicy,
		Discard:      jetstream.DiscardNew,
		MaxAge:       Retention,
		MaxBytes:     maxBytes,
		MaxMsgSize:   maxMessage,
		MaxMsgs:      -1,
		MaxConsumers: -1,
		Duplicates:   duplicateWindow,
	}, nil
}

// ErrBeyondCorrection says that NATS does not let a stream be changed into what is declared: one that was sealed, or is kept in memory.
var ErrBeyondCorrection = errors.New("only a new stream can be as declared")

// Remake deletes the stream, if it is there, and makes it anew as declared. What stood in it is gone: only who can fill it again may do that.
func (b *Bus) Remake(ctx context.Context, name string) error {
	return b.ask(ctx, func(ctx context.Context) error {
		if err := b.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("delete stream %s: %w", name, err)
		}
		return b.EnsureStream(ctx, name)
	})
}

// EnsureStream makes the declared stream exist as it is declared. What somebody changed by hand is changed back and logged, or
// ErrBeyondCorrection is; placement and metadata are the
// operator's and left alone, and so are replicas when the settings say nothing of them.
func (b *Bus) EnsureStream(ctx context.Context, name string) error {
	want, err := StreamConfig(name, b.cfg.StreamBytes)
	if err != nil {
		return err
	}
	want.Replicas = b.cfg.StreamReplicas
	stream, err := b.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return b.createStream(ctx, want)
	}
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", name, err)
	}
	have := stream.CachedInfo().Config
	differs := drift(have, want)
	if len(differs) == 0 {
		return nil
	}
	if _, err := b.js.UpdateStream(ctx, corrected(have, want)); err != nil {
		if _, refused := errors.AsType[*jetstream.APIError](err); refused {
			err = fmt.Errorf("%w: %w", ErrBeyondCorrection, err)
		}
		return fmt.Errorf("correct stream %s (%v): %w", name, differs, err)
	}
	b.log.WarnContext(ctx, "stream configuration corrected", slog.String("stream", name), slog.Any("settings", differs))
	return nil
}

func (b *Bus) createStream(ctx context.Context, want jetstream.StreamConfig) error {
	_, err := b.js.CreateStream(ctx, want)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil // another replica was faster; the next check corrects what it did differently
	}
	if err != nil {
		return fmt.Errorf("create stream %s: %w", want.Name, err)
	}
	b.log.InfoContext(ctx, "stream created", slog.String("stream", want.Name))
	return nil
}

// drift names the settings in which have is not as declared.
func drift(have, want jetstream.StreamConfig) []string {
	var names []string
	differ := func(name string, differs bool) {
		if differs {
			names = append(names, name)
		}
	}
	differ("subjects", !slices.Equal(sorted(have.Subjects), sorted(want.Subjects)))
	differ("storage", have.Storage != want.Storage)
	differ("retention", have.Retention != want.Retention)
	differ("discard", have.Discard != want.Discard || have.DiscardNewPerSubject)
	differ("max_age", have.MaxAge != want.MaxAge)
	differ("max_bytes", have.MaxBytes != want.MaxBytes)
	differ("max_msgs", have.MaxMsgs > 0)
	differ("max_msgs_per_subject", have.MaxMsgsPerSubject > 0)
	differ("max_msg_size", have.MaxMsgSize != want.MaxMsgSize)
	differ("max_consumers", have.MaxConsumers > 0)
	differ("duplicate_window", have.Duplicates != want.Duplicates)
	differ("no_ack", have.NoAck)
	differ("sealed", have.Sealed)
	differ("subject_transform", have.SubjectTransform != nil)
	differ("republish", have.RePublish != nil)
	differ("replicas", want.Replicas > 0 && have.Replicas != want.Replicas)
	differ("sources", have.Mirror != nil || len(have.Sources) > 0)
	return names
}

func corrected(have, want jetstream.StreamConfig) jetstream.StreamConfig {
	if want.Replicas == 0 {
		want.Replicas = have.Replicas
	}
	want.Placement, want.Metadata = have.Placement, have.Metadata
	want.Description, want.Compression = have.Description, have.Compression
	want.AllowDirect, want.DenyDelete, want.DenyPurge, want.AllowRollup = have.AllowDirect, have.DenyDelete, have.DenyPurge, have.AllowRollup
	want.FirstSeq = have.FirstSeq
	want.AllowMsgTTL = have.AllowMsgTTL
	return want
}

func sorted(names []string) []string {
	return slices.Sorted(slices.Values(names))
}

// apiTimeout bounds one question to JetStream. An answer takes well under a millisecond when the server is there.
const apiTimeout = 5 * time.Second

// ask puts a question of several parts to JetStream. ErrDisconnected says that it was lost with the connection.
func (b *Bus) ask(ctx context.Context, question func(context.Context) error) error {
	asking, cancel := b.apiContext(ctx)
	defer cancel()
	err := question(asking)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	return err
}

// apiContext is for questions to JetStream. It ends with the connection, too: what was asked over a lost one is never answered.
func (b *Bus) apiContext(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	asked := b.connection()
	changed, unwatch := b.watch()
	go func() {
		defer unwatch()
		for {
			select {
			case <-changed:
				if b.connection() != asked {
					cancel()
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, cancel
}
