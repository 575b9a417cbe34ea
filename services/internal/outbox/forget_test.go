package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/types/known/emptypb"
	"gorm.io/gorm"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/telemetry"
)

// secret is in every event of a workspace that is to be forgotten.
const secret = "b1ab1ab1a"

// tell commits n events of a workspace, one transaction each, over all lanes.
func (w *world) tell(t *testing.T, o *outbox.Outbox, in string, n int) {
	t.Helper()
	for i := range n {
		e := newEvent(t, fmt.Sprintf("secret-%d", i%7), secret)
		e.WorkspaceID, e.Audience = in, []string{secret}
		if err := w.DB.InWorkspace(t.Context(), in, func(tx *gorm.DB) error { return o.Append(tx, e) }); err != nil {
			t.Fatal(err)
		}
	}
}

// forget has a workspace forgotten. Its last event is committed like others.
func (w *world) forget(t *testing.T, o *outbox.Outbox, in string) event.Event {
	t.Helper()
	last, err := event.New(in, in, &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	last.Type = "note.v1.Last"
	if err := w.DB.InWorkspace(t.Context(), in, func(tx *gorm.DB) error { return o.Forget(tx, last) }); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.committed[in] = append(w.committed[in], last.ID)
	return last
}

// requireForgotten waits until it is done, and looks for the secret everywhere.
func (w *world) requireForgotten(t *testing.T) {
	t.Helper()
	w.eventually(t, "select count(*) from outbox_forgotten where done_at is null", 0)
	if n := w.Count(t, "select count(*) from outbox o where strpos(o::text, $1) > 0", secret); n != 0 {
		t.Errorf("%d rows of the outbox tell the secret", n)
	}
	for _, stream := range []string{event.StreamNote, event.StreamDead} {
		for _, m := range w.messages(t, stream) {
			if strings.Contains(fmt.Sprint(m.Header)+string(m.Data), secret) {
				t.Errorf("message %d of %s tells the secret", m.Sequence, stream)
			}
		}
	}
}

// messages is all that stands in a stream.
func (w *world) messages(t *testing.T, stream string) []*jetstream.RawStreamMsg {
	t.Helper()
	s, err := w.nats.Admin(t).Stream(t.Context(), stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []*jetstream.RawStreamMsg
	for seq := s.CachedInfo().State.FirstSeq; seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// requireNotRebuilt says that the stream has taken each event once, those that are forgotten included.
func (w *world) requireNotRebuilt(t *testing.T, published int) {
	t.Helper()
	if last := w.stored(t).CachedInfo().State.LastSeq; last != uint64(published) {
		t.Errorf("the stream took %d messages for %d events", last, published)
	}
}

// awaitFilled waits until the stream was filled again: it has all that is committed, and no holes.
func (w *world) awaitFilled(t *testing.T) {
	t.Helper()
	limit := time.After(patience)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		s, err := w.nats.Admin(t).Stream(t.Context(), event.StreamNote)
		if err == nil && s.CachedInfo().State.NumDeleted == 0 && s.CachedInfo().State.Msgs == uint64(w.total()) {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("the stream is not filled again")
		}
	}
}

// reader is a consumer that parks or acknowledges, with its mark in memory.
type reader struct {
	*event.Reader
	bus     *event.Bus
	mark    event.Mark
	restart int
}

func (r *reader) Load(context.Context) (event.Mark, error) { return r.mark, nil }

func (r *reader) Forget(context.Context) error {
	r.mark = event.Mark{}
	r.restart++
	return nil
}

const consumer = "note-test"

func (w *world) reader(t *testing.T) *reader {
	t.Helper()
	r := &reader{bus: w.nats.Bus(t, "note", telemetry.Discard())}
	r.Reader = r.bus.Reader(event.ReaderConfig{Stream: event.StreamNote, Consumer: consumer}, r)
	return r
}

// take handles n deliveries and answers their events' ids.
func (r *reader) take(t *testing.T, n int, handle func(event.Delivery)) (ids []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := r.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for len(ids) < n {
		batch, err := s.Batch(ctx, n-len(ids))
		if err != nil {
			t.Fatalf("%d of %d deliveries: %v", len(ids), n, err)
		}
		for _, d := range batch {
			handle(d)
			r.mark = d.Mark()
			ids = append(ids, d.Event.ID)
			if err := d.Ack(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, _, err := s.Pending(ctx); err != nil { // after it the server has the acknowledgements
		t.Fatal(err)
	}
	return ids
}

func TestNothingIsLeftOfAWorkspaceThatIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o, tel := w.measured(t)
	w.write(t, o, "note", 10)
	w.tell(t, o, elsewhere, 30)
	w.write(t, o, "note", 10)
	w.tell(t, o, elsewhere, 30)
	w.write(t, o, "other", 10)

	// All of it, of both workspaces, goes to the dead letters, and some is to be replayed.
	r := w.reader(t)
	requireMetrics(t, tel, `outbox_published_total{stream="NOTE"} 90`)
	r.take(t, 90, func(d event.Delivery) {
		if err := r.bus.Park(t.Context(), consumer, d, "no", 1); err != nil {
			t.Fatal(err)
		}
	})
	for _, seq := range []uint64{5, 15, 40} {
		if err := r.bus.Replay(t.Context(), consumer, seq); err != nil {
			t.Fatal(err)
		}
	}

	w.forget(t, o, elsewhere)
	w.requireForgotten(t)
	if letters := w.messages(t, event.StreamDead); len(letters) != 30 {
		t.Errorf("%d dead letters are left of the other workspace's 30", len(letters))
	}
	w.requireOnce(t)
	w.write(t, o, "note", 10)
	w.requireOnce(t)
	requireMetrics(t, tel, `outbox_stream_rebuilt_total{stream="NOTE"} 0`, `outbox_relay_failures_total{stream="NOTE"} 0`)

	stop(t, o) // the next relay does not know why messages are missing
	second := w.relay(t)
	w.write(t, second, "note", 5)
	w.requireOnce(t)
	w.requireNotRebuilt(t, 106)
}

func TestForgettingReachesTheBeginningAndTheEndOfTheStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	w.tell(t, o, elsewhere, 20)
	w.forget(t, o, elsewhere)
	w.requireForgotten(t)
	w.requireOnce(t)
	kill(o)
	second := w.relay(t)
	w.write(t, second, "note", 5)
	w.requireOnce(t)
	w.requireNotRebuilt(t, 26)
}

func TestAConsumerThatWasAwayHearsTheLastEventAndEverythingOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	w.write(t, o, "note", 5)
	w.tell(t, o, elsewhere, 20)
	r := w.reader(t)
	w.stream(t, 25)
	r.take(t, 15, func(event.Delivery) {}) // and its mark is one of the forgotten
	w.write(t, o, "note", 5)
	w.tell(t, o, elsewhere, 20)
	w.write(t, o, "note", 5)
	last := w.forget(t, o, elsewhere)
	w.requireForgotten(t)
	w.write(t, o, "note", 5)
	got := r.take(t, 16, func(event.Delivery) {})
	want := append(append([]string{}, w.committed["note"][5:15]...), last.ID)
	if want = append(want, w.committed["note"][15:]...); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read %v, want %v", got, want)
	}
	if r.restart != 0 {
		t.Error("it started over")
	}
	w.requireNotRebuilt(t, 61)
}

func TestWhatIsForgottenDoesNotComeBackWithTheStream(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*testing.T, *world){
		"wiped": func(t *testing.T, w *world) { w.nats.Wipe(t) },
		"stream deleted": func(t *testing.T, w *world) {
			if err := w.nats.Admin(t).DeleteStream(t.Context(), event.StreamNote); err != nil {
				t.Error(err)
			}
		},
		"a message of others lost": func(t *testing.T, w *world) {
			if err := w.stored(t).DeleteMsg(t.Context(), 3); err != nil {
				t.Error(err)
			}
		},
		"the newest message lost": func(t *testing.T, w *world) {
			s := w.stored(t)
			if err := s.DeleteMsg(t.Context(), s.CachedInfo().State.LastSeq); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o := w.relay(t)
			w.write(t, o, "note", 10)
			w.tell(t, o, elsewhere, 20)
			w.write(t, o, "note", 10)
			r := w.reader(t)
			w.stream(t, 40)
			r.take(t, 25, func(event.Delivery) {})
			w.forget(t, o, elsewhere)
			w.requireForgotten(t)
			fault(t, w)
			w.awaitFilled(t)
			w.requireOnce(t)
			w.requireForgotten(t)
			unread := map[string]bool{}
			for _, id := range append(w.committed["note"][15:], w.committed[elsewhere]...) {
				unread[id] = true
			}
			for len(unread) > 0 {
				delete(unread, r.take(t, 1, func(event.Delivery) {})[0])
			}
		})
	}
}

func TestForgettingWaitsForNATS(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	w.tell(t, o, elsewhere, 20)
	w.write(t, o, "note", 10)
	w.stream(t, 30)
	w.nats.Down(t)
	w.tell(t, o, elsewhere, 20)
	w.forget(t, o, elsewhere)
	w.nats.Up(t)
	w.requireForgotten(t)
	w.requireOnce(t)
	w.requireNotRebuilt(t, 51)
}

// The server loses what it had acknowledged, and with that, that it had forgotten.
func TestWhatNATSRemembersAgainIsForgottenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	w.write(t, o, "note", 10)
	w.tell(t, o, elsewhere, 20)
	w.stream(t, 30)
	w.nats.Restart(t) // all of it is in the files
	w.stream(t, 30)
	before := w.nats.Snapshot(t)
	w.forget(t, o, elsewhere)
	w.requireForgotten(t)
	w.Exec(t, "update outbox_forgotten set done_at = null")
	w.nats.Rollback(t, before)
	w.requireForgotten(t)
	w.requireOnce(t)
}

// Rows go before messages; a relay that died in between finds messages without rows.
func TestForgettingGoesOnWhereItWasKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	w.write(t, o, "note", 10)
	w.tell(t, o, elsewhere, 20)
	w.write(t, o, "note", 10)
	w.stream(t, 40)
	kill(o)
	w.forget(t, o, elsewhere)
	w.Exec(t, "delete from outbox where workspace_id = $1 and strpos(data, $2) > 0", elsewhere, secret)
	second := w.relay(t)
	w.requireForgotten(t)
	w.requireOnce(t)
	w.write(t, second, "note", 5)
	w.requireOnce(t)
	w.requireNotRebuilt(t, 46)
}

func TestARelayKilledAtRandomForgetsInTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const seed, rounds, each = 11, 40, 6
	random := rand.New(rand.NewPCG(seed, seed))
	bus := w.nats.Bus(t, "note", telemetry.Discard())
	writer := outbox.New(w.DB, bus, config(), telemetry.Discard())
	cfg := config()
	cfg.Audit = time.Millisecond
	for n := range rounds {
		in := fmt.Sprintf("0190a5b4-0000-7000-8000-1%011d", n)
		o := outbox.New(w.DB, bus, cfg, telemetry.Discard())
		if err := o.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.write(t, writer, fmt.Sprintf("note-%d", n%5), 3)
		w.tell(t, writer, in, each)
		w.forget(t, writer, in)
		delay := time.NewTimer(time.Duration(random.IntN(40)) * time.Millisecond)
		<-delay.C // the point of the kill is what is random
		kill(o)
	}
	w.relay(t)
	w.requireForgotten(t)
	w.requireOnce(t)
	if last := w.stored(t).CachedInfo().State.LastSeq; last > rounds*(3+each+1) {
		t.Errorf("the stream took %d messages for %d events", last, rounds*(3+each+1))
	}
}

func TestALargeWorkspaceIsForgottenWhileOthersWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	const batches, size = 20, 600 // more rows than a step takes
	for range batches {
		events := make([]event.Event, size)
		for i := range events {
			events[i] = newEvent(t, fmt.Sprint(i%9), secret)
			events[i].WorkspaceID = elsewhere
		}
		if err := w.DB.InWorkspace(t.Context(), elsewhere, func(tx *gorm.DB) error { return o.Append(tx, events...) }); err != nil {
			t.Fatal(err)
		}
		w.write(t, o, "note", 2)
	}
	w.forget(t, o, elsewhere)
	w.write(t, o, "note", 50)
	w.requireForgotten(t)
	w.requireOnce(t)
	w.requireNotRebuilt(t, batches*(size+2)+51)
}

func TestAWishIsStruckOffWhenItIsSureToBeDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	w.tell(t, o, elsewhere, 5)
	w.forget(t, o, elsewhere)
	w.requireForgotten(t)
	w.Exec(t, "update outbox_forgotten set due_at = now()")
	w.eventually(t, "select count(*) from outbox_forgotten where due_at > now()", 1) // done again, and kept
	w.Exec(t, "update outbox_forgotten set due_at = now(), done_at = now() - interval '11 minutes'")
	w.eventually(t, "select count(*) from outbox_forgotten", 0)
	w.requireOnce(t)
}

func TestAWorkspaceMayHaveNothingForgottenButItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.RequireRowSecurity(t)
	o := outbox.New(w.DB, nil, config(), telemetry.Discard())
	w.tell(t, o, elsewhere, 1)
	last := newEvent(t, elsewhere, "")
	last.WorkspaceID = elsewhere
	if err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error { return o.Forget(tx, last) }); err == nil {
		t.Error("another one's event was appended")
	}
	ask := "insert into outbox_forgotten (id, lane, workspace_id, type) values (99, 0, '" + elsewhere + "', 'note.v1.Last')"
	if err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error { return tx.Exec(ask).Error }); err == nil {
		t.Error("another one may be forgotten")
	}
	w.forget(t, o, elsewhere)
	err := w.DB.InWorkspace(t.Context(), elsewhere, func(tx *gorm.DB) error {
		return errors.Join(tx.Exec("delete from outbox_forgotten").Error, tx.Exec("update outbox_forgotten set done_at = now()").Error)
	})
	if n := w.Count(t, "select count(*) from outbox_forgotten where done_at is null"); err != nil || n != 1 {
		t.Errorf("%d wishes are left, %v", n, err)
	}
}

func TestWhatIsNotCommittedIsNotForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	w.tell(t, o, elsewhere, 5)
	no := errors.New("no")
	err := w.DB.InWorkspace(t.Context(), elsewhere, func(tx *gorm.DB) error {
		last := newEvent(t, elsewhere, "")
		last.WorkspaceID = elsewhere
		return errors.Join(o.Forget(tx, last), no)
	})
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
	if n := w.Count(t, "select count(*) from outbox_forgotten") + w.Count(t, "select count(*) from outbox"); n != 5 {
		t.Errorf("%d rows, want the five events", n)
	}
}
