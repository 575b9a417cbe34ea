package postgres

import (
	"time"

	"noteworks.dev/services/note/internal/note"
)

const (
	// rememberedFor is how long a note is remembered after a change. The database compares the rows of the note and of the access to it; the names of people, and
	// a limit that the workspace did not have, may be that old in the next change.
	rememberedFor = 10 * time.Second
	// rememberedNotes with at most rememberedBytes of body each are half of what is kept: 4 MB.
	rememberedNotes = 512
	rememberedBytes = 8 << 10
)

// mark tells a state of a note's row and of the access to it from all others, by the transactions that wrote them: xmin, as others use it for optimistic
// concurrency (https://www.npgsql.org/efcore/modeling/concurrency.html). own is the transaction that changes the note now.
type mark struct{ note, access, own uint32 }

// memory is what notes were after their last change, for the person who made it: who writes goes on writing. It has no timer: what is old goes as others come.
// Not safe for concurrent use.
type memory struct {
	now        func() time.Time
	young, old map[memoryKey]remembered
	since      time.Time // of young
}

type memoryKey struct {
	workspace note.WorkspaceID
	note      note.ID
}

type remembered struct {
	locked
	mark
	at time.Time
}

func newMemory(now func() time.Time) *memory { return &memory{now: now} }

// recall gives each edit what is remembered for its person, and reports whether that is something for all.
func (m *memory) recall(group []*entry) bool {
	now := m.now()
	for _, one := range group {
		v := one.Value
		key := memoryKey{v.actor.Workspace, v.id}
		was, ok := m.young[key]
		if !ok {
			was, ok = m.old[key]
		}
		if !ok || was.Viewer != v.actor.Person || now.Sub(was.at) > rememberedFor {
			return false
		}
		v.got, v.mark = &was.locked, was.mark
	}
	return true
}

// keep remembers what was written, or nothing more of anything if it is not known what was.
func (m *memory) keep(group []*entry, err error) {
	if err != nil {
		clear(m.young)
		clear(m.old)
		return
	}
	now := m.now()
	m.makeRoom(now)
	for _, one := range group {
		v := one.Value
		key := memoryKey{v.actor.Workspace, v.id}
		delete(m.young, key)
		delete(m.old, key)
		if v.changed && v.got.room.Bytes == nil && len(v.got.Body) <= rememberedBytes {
			after := remembered{*v.got, mark{note: v.mark.own, access: v.mark.access}, now}
			after.was = after.Usage()
			m.young[key] = after
		}
	}
}

// makeRoom makes the young ones the old when there are enough of them or time is up.
func (m *memory) makeRoom(now time.Time) {
	if now.Sub(m.since) > rememberedFor || len(m.young) >= rememberedNotes {
		m.young, m.old, m.since = map[memoryKey]remembered{}, m.young, now
	}
}
