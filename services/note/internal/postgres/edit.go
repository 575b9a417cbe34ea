package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/trace"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/groupcommit"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/note/internal/note"
)

const (
	// mostEdits go into one transaction. From some thirty on a row costs what it costs.
	mostEdits = 64
	// mostEditBytes of bodies are written by one transaction, which holds them in memory.
	mostEditBytes = 4 << 20
	// editTimeout bounds a transaction. Its callers have left by then, or are told; a server that hangs must not keep the line.
	editTimeout = 5 * time.Second
)

// errAlone says that an edit cannot be done together with others': it has to wait for somebody's lock, or is not to be done at all and has to be
// told why. Done alone it is answered.
var errAlone = errors.New("to be done alone")

// edits are changes of content, which is what people do most. Those that come together go together into one transaction, one transaction after the other, so that
// no two wait for each other's lane of the outbox; a note that somebody else has locked keeps nobody waiting. It takes one round trip if all of them were
// changed here a moment ago by the same people, and two otherwise.
type edits struct {
	db     *pg.DB
	outbox Outbox
	line   *groupcommit.Queue[*edit]
	memory *memory // the line's, which runs one group at a time
}

// edit is what one person wants of a note, and what came of it.
type edit struct {
	actor  note.Actor
	id     note.ID
	decide func(*note.Sight) (note.Fact, error)

	got     *locked // nil: not there, not theirs, or somebody else's at this moment
	mark    mark    // got's
	changed bool    // it is to be written
	err     error
}

type entry = groupcommit.Entry[*edit]

func newEdits(db *pg.DB, outbox Outbox) *edits {
	e := &edits{db: db, outbox: outbox, memory: newMemory(time.Now)}
	e.line = groupcommit.New(groupcommit.Config{Most: mostEdits, Patience: db.Patience()},
		func(one *edit) string { return string(one.actor.Workspace) + string(one.id) }, e.run)
	return e
}

// do is note.Store's Update for an edit, or errAlone.
func (e *edits) do(ctx context.Context, actor note.Actor, id note.ID, decide func(*note.Sight) (note.Fact, error)) (note.Sight, error) {
	one := &edit{actor: actor, id: id, decide: decide}
	if err := e.line.Do(ctx, one); err != nil {
		return note.Sight{}, err
	}
	return one.got.Sight, nil
}

// run does a group in one transaction. If that fails for what is wrong with one of them, each is done alone, but not if it may have been committed. Its error is
// the database's absence.
func (e *edits) run(group []*entry) error {
	byWorkspace := inWorkspaces(group)
	ctx, cancel := context.WithTimeout(carrier(group), editTimeout)
	defer cancel()
	err := e.again(ctx, byWorkspace)
	if errors.Is(err, errForgotten) {
		err = e.anew(ctx, byWorkspace)
	}
	e.memory.keep(group, err)
	for _, one := range group {
		switch {
		case err == nil:
			one.Done(one.Value.err)
		case errs.KindOf(err) == errs.KindInternal:
			one.Done(errAlone)
		default:
			one.Done(err)
		}
	}
	if pg.IsAway(err) {
		return err
	}
	return nil
}

// anew reads the notes first.
func (e *edits) anew(ctx context.Context, byWorkspace [][]*entry) error {
	return e.db.ExchangeAcross(ctx, func(first *pg.First) {
		for _, group := range byWorkspace {
			ask(first, group)
		}
	}, func(last *pg.Last) error {
		return e.write(last, byWorkspace)
	})
}

// inWorkspaces parts the group by workspace, in the order of their ids: who locks several counts does so in the same order as everybody.
func inWorkspaces(group []*entry) [][]*entry {
	slices.SortStableFunc(group, func(a, b *entry) int {
		return strings.Compare(string(a.Value.actor.Workspace), string(b.Value.actor.Workspace))
	})
	var parts [][]*entry
	for i, one := range group {
		if i == 0 || one.Value.actor.Workspace != group[i-1].Value.actor.Workspace {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], one)
	}
	return parts
}

// carrier is the context of the group's transaction, which ends with nobody's. Its statements stand in the trace of one that is recorded, if any is, and the requests of
// the others are linked with it.
func carrier(group []*entry) context.Context {
	first := group[0]
	for _, one := range group {
		if trace.SpanFromContext(one.Context).IsRecording() {
			first = one
			break
		}
	}
	link := trace.LinkFromContext(first.Context)
	for _, one := range group {
		if one != first {
			trace.SpanFromContext(one.Context).AddLink(link)
		}
	}
	return context.WithoutCancel(first.Context)
}

// ask locks the notes of one workspace.
func ask(first *pg.First, group []*entry) {
	ids, people := idsOf(group)
	for _, one := range group {
		one.Value.got = nil
	}
	first.In(string(group[0].Value.actor.Workspace))
	first.Queue(lockSights, ids, people).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var at int
			var m mark
			got, err := readLockedAnd(rows, &m.note, &m.access, &m.own, &at)
			if err != nil {
				return err
			}
			group[at-1].Value.got, group[at-1].Value.mark = &got, m
		}
		return rows.Err()
	})
}

func idsOf(group []*entry) (notes, people []string) {
	for _, one := range group {
		notes, people = append(notes, string(one.Value.id)), append(people, string(one.Value.actor.Person))
	}
	return notes, people
}

// write decides upon each and queues what was decided: first all rows, then all events, since whoever holds a lane must not wait for a count.
func (e *edits) write(last *pg.Last, byWorkspace [][]*entry) error {
	var (
		told  []event.Event
		bytes int
	)
	for _, group := range byWorkspace {
		var (
			changes []edited
			more    note.Usage
		)
		for _, one := range group {
			change, adds := decided(one, bytes)
			if change == nil {
				continue
			}
			ev, err := eventOf(one.Value.actor, change.sight, change.fact)
			if err != nil {
				one.Value.err = err
				continue
			}
			told = append(told, e.outbox.Traced(one.Context, ev))
			changes = append(changes, *change)
			more.Bytes += adds.Bytes
			bytes += len(change.sight.Body)
		}
		if len(changes) == 0 {
			continue
		}
		if len(byWorkspace) > 1 { // of one alone the first round trip has said it
			last.In(string(group[0].Value.actor.Workspace))
		}
		keepChanges(last, group[0].Value.actor.Workspace, changes, more)
	}
	return e.outbox.AppendLast(last, told...)
}

// decided is what is to be written for one, and what it adds to the workspace; nil if nothing. bytes is how much the group writes already.
func decided(one *entry, bytes int) (*edited, note.Usage) {
	v := one.Value
	v.changed = false
	if v.err = one.Context.Err(); v.err != nil {
		return nil, note.Usage{} // nobody waits for it
	}
	v.err = errAlone
	if v.got == nil || !v.got.whole || bytes > mostEditBytes {
		return nil, note.Usage{}
	}
	change, more, err := v.change()
	if v.err = err; err != nil || change == nil {
		return nil, note.Usage{}
	}
	v.changed = true
	return change, more
}

// change decides. A panic is the caller's, on whose own goroutine it will come again.
func (v *edit) change() (change *edited, more note.Usage, err error) {
	defer func() {
		if recover() != nil {
			change, err = nil, errAlone
		}
	}()
	fact, err := v.decide(&v.got.Sight)
	if err != nil || fact == nil {
		return nil, note.Usage{}, err
	}
	changed, ok := fact.(note.Changed)
	if !ok {
		return nil, note.Usage{}, errAlone
	}
	more = v.got.Usage().Since(v.got.was)
	return &edited{&v.got.Sight, changed}, more, v.got.room.Takes(more)
}
