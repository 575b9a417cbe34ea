package outbox_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/telemetry"
)

// partitions is how many there are beside the default one.
const partitions = `select count(*) from pg_class where relname ~ '^outbox_\d+$' and relkind = 'r'`

func (w *world) rotating(t *testing.T) *outbox.Outbox {
	t.Helper()
	cfg := config()
	cfg.Audit, cfg.Rotate = 10*time.Millisecond, 10*time.Millisecond
	o := outbox.New(w.DB, w.nats.Bus(t, "note", telemetry.Discard()), cfg, telemetry.Discard())
	if err := o.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, o) })
	return o
}

func TestRotationCutsDaysAndDropsOldOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.rotating(t)
	for day := 1; day <= 12; day++ {
		w.write(t, o, "note", 5)
		w.write(t, o, "other", 5)
		w.requireOnce(t)
		drawn := w.Count(t, "select last_value / 10000000000 from outbox_id")
		w.Exec(t, "update outbox set created_at = created_at - interval '25 hours'")
		w.eventually(t, "select last_value / 10000000000 from outbox_id", drawn+1)
	}
	w.write(t, o, "note", 5)
	w.requireOnce(t)
	// Seven days of 25 hours are not quite old enough, the present one and the next.
	w.eventually(t, "select count(*) from (select from outbox where created_at < now() - interval '7 days') as old", 0)
	w.eventually(t, partitions, 8)
}

func TestRotationKeepsWhatIsNotPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	writer := outbox.New(w.DB, w.nats.Bus(t, "note", telemetry.Discard()), config(), telemetry.Discard())
	w.write(t, writer, "note", 10)
	w.Exec(t, "update outbox set created_at = now() - interval '30 days'")
	w.Exec(t, "select setval('outbox_id', 10000000000, false)")
	w.write(t, writer, "note", 10)
	rotate := func(published int) {
		w.Exec(t, fmt.Sprintf(`do $$ begin perform set_config('noteworks.relay', 'on', true); perform outbox_rotate('7 days', '{%[1]d,%[1]d,%[1]d,%[1]d}'); end $$`, published))
	}
	rotate(9)
	if n := w.Count(t, "select count(*) from outbox"); n != 20 {
		t.Fatalf("%d rows after a rotation before publishing, want 20", n)
	}
	rotate(10)
	if n := w.Count(t, "select count(*) from outbox"); n != 10 {
		t.Fatalf("%d rows after a rotation, want 10", n)
	}
}

func TestNobodyElseDropsPartitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := w.DB.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Exec("select outbox_rotate('7 days', '{9,9,9,9}')").Error })
	if err == nil {
		t.Error("allowed")
	}
}

// Ids for which no partition was made in time do not stop writers, and their rows go, too.
func TestWritersNeedNoPartition(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Exec(t, "select setval('outbox_id', 990000000000, false)")
	o := w.relay(t)
	w.write(t, o, "note", 10)
	w.requireOnce(t)
	kill(o)
	w.Exec(t, "update outbox set created_at = now() - interval '9 days'")
	w.rotating(t)
	w.eventually(t, "select count(*) from outbox", 0)
}

// A partition that comes while a row is on its way to the default one would make that row's place wrong, and PostgreSQL refuse it.
func TestWritersDoNotFailWhileAPartitionIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Exec(t, "select setval('outbox_id', 990000000000, false)")
	o := outbox.New(w.DB, w.nats.Bus(t, "note", telemetry.Discard()), config(), telemetry.Discard())
	rotation, err := w.Superuser.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rotation.Rollback(context.Background()) }() // committed by then, or the test has failed
	exec := func(sql string) {
		t.Helper()
		if _, err := rotation.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("lock table outbox_default in access exclusive mode")
	var written sync.WaitGroup
	written.Go(func() { w.write(t, o, "note", 1) })
	defer written.Wait()
	w.eventually(t, "select count(*) from pg_locks where not granted and relation = 'outbox_default'::regclass", 1)
	exec("select outbox_rotate('7 days', null)")
	exec("commit")
	written.Wait()
	w.eventually(t, "select count(*) from outbox", 1)
}
