// Package listen takes what happened elsewhere, and what happened here, into the note service's own tables.
//
// It promises that events may come late, in any order across people, and more than once: each part of a copy carries the version it is from.
// Work too large for an event's transaction is left as a chore. Imports the inbox, the generated events and its domain; the tables are
// behind interfaces, which the server fills in.
package listen

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	userv1 "noteworks.dev/services/api/gen/user/v1"
	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/internal/inbox"
	"noteworks.dev/services/note/internal/note"
)

// People is the copy of who is who in one workspace.
type People interface {
	Named(id note.PersonID, name string, version int32) error
	Activated(id note.PersonID, active bool, version int32) error
	// Deleted forgets id's name and sees to it that what was theirs becomes the successor's.
	Deleted(id, successor note.PersonID, version int32, now time.Time) error
}

// Workspaces is the copy of one workspace's own data.
type Workspaces interface {
	// Applied takes its state; one without a policy has no limits.
	Applied(slug, title string, policy note.Policy, version int32) error
	// Deleted sees to it that everything in it is deleted.
	Deleted(now time.Time) error
}

// Index is what can be searched.
type Index interface {
	// Put brings the entries of notes up to these versions at least.
	Put(versions map[note.ID]int32) error
	Remove(id note.ID) error
}

// RegisterPeople keeps the copies of people and workspaces by the user service's events.
func RegisterPeople(in *inbox.Inbox, people func(inbox.Tx) People, workspaces func(inbox.Tx) Workspaces, now func() time.Time) {
	inbox.On(in, func(_ context.Context, tx inbox.Tx, e *userv1.UserRegistered) error {
		p, id := people(tx), note.PersonID(e.GetUserId())
		if err := p.Named(id, e.GetName(), e.GetVersion()); err != nil {
			return err
		}
		return p.Activated(id, true, e.GetVersion())
	})
	inbox.On(in, func(_ context.Context, tx inbox.Tx, e *userv1.UserRenamed) error {
		return people(tx).Named(note.PersonID(e.GetUserId()), e.GetName(), e.GetVersion())
	})
	inbox.On(in, func(_ context.Context, tx inbox.Tx, e *userv1.UserDeactivated) error {
		return people(tx).Activated(note.PersonID(e.GetUserId()), false, e.GetVersion())
	})
	inbox.On(in, func(_ context.Context, tx inbox.Tx, e *userv1.UserReactivated) error {
		return people(tx).Activated(note.PersonID(e.GetUserId()), true, e.GetVersion())
	})
	inbox.On(in, func(_ context.Context, tx inbox.Tx, e *userv1.UserDeleted) error {
		return people(tx).Deleted(note.PersonID(e.GetUserId()), note.PersonID(e.GetSuccessorId()), e.GetVersion(), now())
	})
	inbox.On(in, func(_ context.Context, tx inbox.Tx, e *workspacev1.WorkspaceApplied) error {
		return workspaces(tx).Applied(e.GetSlug(), e.GetTitle(), policyOf(e.GetPolicy()), e.GetVersion())
	})
	inbox.On(in, func(_ context.Context, tx inbox.Tx, _ *workspacev1.WorkspaceDeleted) error {
		return workspaces(tx).Deleted(now())
	})
	ignore[*userv1.SessionsRevoked](in) // the gateway's business
}

// policyOf is the part of a workspace's policy that is about notes. Nothing said, or nonsense, is no limit.
func policyOf(p *workspacev1.Policy) note.Policy {
	limits, retention := p.GetLimits(), p.GetRetention()
	return note.Policy{
		Notes:        max(0, limits.GetNotes()),
		Bytes:        max(0, limits.GetBytes()),
		TrashDays:    max(0, retention.GetTrashDays()),
		RevisionDays: max(0, retention.GetRevisionDays()),
	}
}

// RegisterSearch keeps the search projection by the note service's own events.
func RegisterSearch(in *inbox.Inbox, index func(inbox.Tx) Index) {
	put := func(tx inbox.Tx, id string, version int32) error {
		inbox.Gather(tx, document{note.ID(id), version}, func(tx inbox.Tx, all []document) error {
			return index(tx).Put(newest(all))
		})
		return nil
	}
	inbox.On(in, func(_ context.Context, tx inbox.Tx, e *notev1.NoteCreated) error {
		return put(tx, e.GetNoteId(), e.GetVersion())
	})
	inbox.On(in, func(_ context.Context, tx inbox.Tx, e *notev1.NoteChanged) error {
		return put(tx, e.GetNoteId(), e.GetVersion())
	})
	inbox.On(in, func(_ context.Context, tx inbox.Tx, e *notev1.NoteDeleted) error {
		return index(tx).Remove(note.ID(e.GetNoteId()))
	})
	// Known, and nothing to search by: the index knows neither access nor marks nor the trash.
	ignore[*notev1.NoteTrashed](in)
	ignore[*notev1.NoteRestored](in)
	ignore[*notev1.NoteShared](in)
	ignore[*notev1.NoteUnshared](in)
	ignore[*notev1.NoteOwnerChanged](in)
	ignore[*notev1.NotePinned](in)
	ignore[*notev1.NoteArchived](in)
}

// document is a note as it was at a version.
type document struct {
	id      note.ID
	version int32
}

// newest is the newest version of each.
func newest(all []document) map[note.ID]int32 {
	versions := make(map[note.ID]int32, len(all))
	for _, d := range all {
		versions[d.id] = max(versions[d.id], d.version)
	}
	return versions
}

func ignore[M proto.Message](in *inbox.Inbox) {
	inbox.On(in, func(context.Context, inbox.Tx, M) error { return nil })
}
