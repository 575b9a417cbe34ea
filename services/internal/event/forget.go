package event

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// anySubject finds the next message, whichever it is.
const anySubject = ">"

// Forget removes from the stream what stands there of last's workspace before last. last itself stays, so that the newest message of the stream, which
// carries the cursor, is never removed. Of last it needs the workspace and the type; when it is not in the stream, nothing is removed.
func (b *Bus) Forget(ctx context.Context, stream string, last Event) error {
	return b.ask(ctx, func(ctx context.Context) error {
		s, err := b.js.Stream(ctx, stream)
		if err != nil {
			return fmt.Errorf("look up stream %s: %w", stream, err)
		}
		m, err := s.GetLastMsgForSubject(ctx, last.Subject())
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for %s: %w", last.Subject(), err)
		}
		if err := s.Purge(ctx, jetstream.WithPurgeSubject(workspaceSubject(last.WorkspaceID)), jetstream.WithPurgeSequence(m.Sequence)); err != nil {
			return fmt.Errorf("forget in stream %s: %w", stream, err)
		}
		return nil
	})
}

// workspaceSubject is all events of a workspace.
func workspaceSubject(id string) string { return "ws." + id + ".>" }

// ForgetLetters removes the dead letters, and orders to replay one, whose events are of these workspaces and came from the stream. It looks at limit of them at most,
// from the sequence from on, and answers where to go on, 0 when there are no more.
func (b *Bus) ForgetLetters(ctx context.Context, stream string, workspaces map[string]bool, from uint64, limit int) (next uint64, err error) {
	err = b.ask(ctx, func(ctx context.Context) error {
		next, err = b.forgetLetters(ctx, stream, workspaces, from, limit)
		return err
	})
	return next, err
}

func (b *Bus) forgetLetters(ctx context.Context, stream string, workspaces map[string]bool, from uint64, limit int) (uint64, error) {
	dead, err := b.js.Stream(ctx, StreamDead)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil // nothing was ever parked
	}
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", StreamDead, err)
	}
	for range limit {
		m, err := messageFrom(ctx, dead, max(from, 1))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		from = m.Sequence + 1
		workspace, _ := workspaceOf(originalSubject(m.Subject, m.Header)) // a stranger's is of none
		if m.Header.Get(headerDeadStream) != stream || !workspaces[workspace] {
			continue
		}
		if err := deleteLetter(ctx, dead, m.Sequence); err != nil {
			return 0, err
		}
	}
	return from, nil
}

// messageFrom is the first message at or after seq.
func messageFrom(ctx context.Context, s jetstream.Stream, seq uint64) (*jetstream.RawStreamMsg, error) {
	m, err := s.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(anySubject))
	if err != nil {
		return nil, fmt.Errorf("read message %d or the next: %w", seq, err)
	}
	return m, nil
}

// forgotten reports whether no message of from to to is there any more.
func forgotten(ctx context.Context, s jetstream.Stream, from, to uint64) (bool, error) {
	m, err := messageFrom(ctx, s, from)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return true, nil
	}
	return err == nil && m.Sequence > to, err
}

// leadsTo reports whether a reader with this mark, whose message is not there any more, may go on behind it: everything that stands before it was before the mark, too.
func leadsTo(ctx context.Context, s jetstream.Stream, mark Mark) (bool, error) {
	at, err := ParseCursor(mark.Cursor)
	if err != nil {
		return false, nil //nolint:nilerr // a stranger's message has told nothing
	}
	m, err := newestBefore(ctx, s, mark.Seq)
	if err != nil || m == nil {
		return err == nil, err // before nothing, nothing is left out
	}
	before, err := ParseCursor(m.Header.Get(headerCursor))
	return err == nil && strings.HasPrefix(m.Subject, "ws.") && before.Before(at), nil
}

// newestBefore is the newest message before seq, nil when there is none. The server finds the next message after a place and not the one before it, so it is asked
// for what follows upon places further and further back.
func newestBefore(ctx context.Context, s jetstream.Stream, seq uint64) (*jetstream.RawStreamMsg, error) {
	first := s.CachedInfo().State.FirstSeq
	for back := uint64(1); ; back *= 2 {
		from := max(seq-min(back, seq), first)
		m, err := messageFrom(ctx, s, from)
		switch {
		case err != nil && !errors.Is(err, jetstream.ErrMsgNotFound):
			return nil, err
		case err == nil && m.Sequence < seq:
			return newestOf(ctx, s, m, seq)
		case from <= first:
			return nil, nil //nolint:nilnil // there is none
		}
	}
}

// newestOf goes from m on to the last message before seq.
func newestOf(ctx context.Context, s jetstream.Stream, m *jetstream.RawStreamMsg, seq uint64) (*jetstream.RawStreamMsg, error) {
	for {
		next, err := messageFrom(ctx, s, m.Sequence+1)
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && next.Sequence >= seq {
			return m, nil
		}
		if err != nil {
			return nil, err
		}
		m = next
	}
}
