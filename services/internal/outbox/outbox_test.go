package outbox_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/lifecycletest"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/telemetry"
)

func TestWhatIsCommittedIsPublishedInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() { w.write(t, o, fmt.Sprintf("note-%d", i), 50) })
	}
	writers.Wait()
	w.requireOnce(t)
}

func TestWhatIsRolledBackIsNotPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	no := errors.New("no")
	err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error {
		if err := o.Append(tx, newEvent(t, "note", "never")); err != nil {
			t.Error(err)
		}
		return no
	})
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
	w.write(t, o, "note", 3)
	w.requireOnce(t)
}

// A transaction that is open for long keeps its own lane waiting and nobody else's, and is not skipped when it commits late.
func TestALateCommitIsNotSkipped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	appended, finish := make(chan struct{}), make(chan struct{})
	var late sync.WaitGroup
	late.Go(func() {
		e := newEvent(t, "held", "late")
		err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error {
			err := o.Append(tx, e)
			close(appended)
			<-finish
			return err
		})
		if err != nil {
			t.Error(err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.committed["held"] = append(w.committed["held"], e.ID)
	})
	<-appended
	for i, wrote := 0, 0; wrote < 3; i++ {
		if key := fmt.Sprintf("free-%d", i); event.LaneOf(key) != event.LaneOf("held") {
			w.write(t, o, key, 20)
			wrote++
		}
	}
	w.requireOnce(t) // the others did not wait
	close(finish)
	late.Wait()
	w.requireOnce(t)
}

func TestSeveralEventsOfOneTransactionKeepTheirOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	var events []event.Event
	for i := range 40 {
		e := newEvent(t, fmt.Sprintf("note-%d", i%7), fmt.Sprint(i))
		events = append(events, e)
		w.committed[e.Key] = append(w.committed[e.Key], e.ID)
	}
	err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error { return o.Append(tx, events...) })
	if err != nil {
		t.Fatal(err)
	}
	w.requireOnce(t)
}

// One has the first lane in the first workspace and the last in the second, the other the other way round: whoever took lanes in the order of their events would
// wait for the other's.
func TestTransactionsOfSeveralWorkspacesDoNotWaitForEachOthersLanes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var (
		writing sync.WaitGroup
		tries   atomic.Int32
	)
	for name, lanes := range map[string][2]int{"rising": {0, event.Lanes - 1}, "falling": {event.Lanes - 1, 0}} {
		o := w.relay(t)
		one, other := keyIn(lanes[0], name), keyIn(lanes[1], name)
		writing.Go(func() {
			for range 200 {
				here, there := newEvent(t, one, "here"), newEvent(t, other, "there")
				there.WorkspaceID = elsewhere
				err := w.DB.ExchangeAcross(t.Context(),
					func(first *pg.First) { first.In(workspace) },
					func(last *pg.Last) error {
						tries.Add(1)
						return o.AppendLast(last, o.Traced(t.Context(), here), o.Traced(t.Context(), there))
					})
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				w.remember(here, there)
			}
		})
	}
	writing.Wait()
	if n := tries.Load(); n != 400 { // a transaction that deadlocks is tried again
		t.Errorf("%d tries for 400 transactions", n)
	}
	if rows := w.Count(t, "select count(*) from outbox where workspace_id = $1", elsewhere); rows != 400 {
		t.Errorf("%d rows of the other workspace", rows)
	}
	w.requireOnce(t)
}

// keyIn is a key, beginning with name, whose events are in the lane.
func keyIn(lane int, name string) string {
	for i := 0; ; i++ {
		if key := fmt.Sprint(name, i); event.LaneOf(key) == lane {
			return key
		}
	}
}

// What a replica commits is handed to its own relay only; what another one committed in between comes first all the same.
func TestTwoReplicasThatWriteInTurnKeepTheOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, other := w.relay(t), w.relay(t)
	for i := range 60 {
		w.write(t, one, "note", 1)
		if i%3 == 0 {
			w.write(t, other, "note", 2)
		}
	}
	w.requireOnce(t)
}

// Sessions keep the plan they made when the table was empty; reading all of it for each event was then the cheapest.
func TestNobodyReadsTheWholeTableForAnEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Exec(t, "analyze")
	o := w.relay(t)
	const events = 300
	w.write(t, o, "note", events)
	w.requireOnce(t)
	stop(t, o)
	w.DB.Close() // sessions that end report what they read
	const read = "select coalesce(sum(seq_tup_read), 0), coalesce(sum(n_tup_ins), 0) from pg_stat_user_tables where relname like 'outbox%'"
	var rows, inserted int
	for limit := time.After(patience); inserted < events; {
		if err := w.Superuser.QueryRow(t.Context(), read).Scan(&rows, &inserted); err != nil {
			t.Fatal(err)
		}
		select {
		case <-limit:
			t.Fatalf("%d of %d events reported", inserted, events)
		default:
		}
	}
	if rows > events {
		t.Errorf("%d rows were read one after the other for %d events", rows, events)
	}
}

func TestAnEventCarriesWhatItWasGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	e := newEvent(t, "note", "hello")
	e.Audience = []string{"ann", "bob"}
	if err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error { return o.Append(tx, e) }); err != nil {
		t.Fatal(err)
	}
	got := w.stream(t, 1)[0]
	if got.ID != e.ID || got.Type != e.Type || got.WorkspaceID != workspace || got.Key != "note" || got.Source != "note" ||
		fmt.Sprint(got.Audience) != "[ann bob]" || string(got.Data) != string(e.Data) || got.Time.Sub(e.Time).Abs() > 1000 {
		t.Errorf("got %+v, gave %+v", got, e)
	}
}

func TestAnEventTooLargeToPublishIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	e := newEvent(t, "note", strings.Repeat("x", 1<<20))
	crowd := newEvent(t, "note", "")
	for i := range 3000 {
		crowd.Audience = append(crowd.Audience, fmt.Sprintf("0190a5b4-0000-7000-8000-%012d", i))
	}
	for _, e := range []event.Event{e, crowd} {
		err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error { return o.Append(tx, e) })
		if !errors.Is(err, outbox.ErrTooLarge) {
			t.Errorf("append: %v", err)
		}
	}
	w.write(t, o, "note", 1)
	w.requireOnce(t)
}

func TestTheLargestEventIsPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	e := newEvent(t, "note", strings.Repeat("x", 899<<10))
	for len(strings.Join(e.Audience, ",")) < 47<<10 {
		e.Audience = append(e.Audience, "0190a5b4-0000-7000-8000-000000000001")
	}
	if err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error { return o.Append(tx, e) }); err != nil {
		t.Fatal(err)
	}
	w.stream(t, 1)
}

func TestRowLevelSecurity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.RequireRowSecurity(t)
	o := outbox.New(w.DB, w.nats.Bus(t, "note", telemetry.Discard()), config(), telemetry.Discard())
	w.write(t, o, "note", 2)

	t.Run("the service reads nothing", func(t *testing.T) {
		var n int64
		err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error { return tx.Table("outbox").Count(&n).Error })
		if err != nil || n != 0 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
	t.Run("nor deletes or changes", func(t *testing.T) {
		err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error {
			return errors.Join(tx.Exec("delete from outbox").Error, tx.Exec("update outbox set data = ''").Error)
		})
		if n := w.Count(t, "select count(*) from outbox where data <> ''"); err != nil || n != 2 {
			t.Errorf("%d rows left, %v", n, err)
		}
	})
	t.Run("nor a partition by its name", func(t *testing.T) {
		err := w.DB.InWorkspace(t.Context(), workspace, func(tx *gorm.DB) error { return tx.Exec("select * from outbox_default").Error })
		if err == nil {
			t.Error("allowed")
		}
	})
	t.Run("another workspace's event is refused", func(t *testing.T) {
		err := w.DB.InWorkspace(t.Context(), elsewhere, func(tx *gorm.DB) error { return o.Append(tx, newEvent(t, "note", "forged")) })
		if err == nil {
			t.Error("appended")
		}
	})
	t.Run("without a workspace, every event is", func(t *testing.T) {
		if err := w.DB.Tx(t.Context(), func(tx *gorm.DB) error { return o.Append(tx, newEvent(t, "note", "forged")) }); err == nil {
			t.Error("appended")
		}
	})
}

func TestLifecycle(t *testing.T) { //nolint:paralleltest // it counts goroutines
	w := newWorld(t)
	bus := w.nats.Bus(t, "note", telemetry.Discard())
	// The stream's and the connection's goroutines outlive an outbox.
	if err := errors.Join(bus.Await(t.Context(), nil), bus.EnsureStream(t.Context(), event.StreamNote)); err != nil {
		t.Fatal(err)
	}
	lifecycletest.Stress(t, func() lifecycletest.Lifecycle { return outbox.New(w.DB, bus, config(), telemetry.Discard()) })
}

func TestStopPublishesWhatIsCommitted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.relay(t)
	w.write(t, o, "note", 100)
	stop(t, o)
	w.requireOnce(t)
}
