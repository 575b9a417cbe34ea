package note

import (
	"time"

	"noteworks.dev/services/internal/errs"
)

// Policy is what a workspace allows its notes. 0 is no limit, and the service's own retention.
type Policy struct {
	Notes        int32 // not in the trash
	Bytes        int64 // of all bodies, the trash included
	TrashDays    int32
	RevisionDays int32
}

// Retention is how long what nobody looks at any more is kept in a workspace.
type Retention struct {
	// Trash is how long a note stays there; 0 leaves it to the service.
	Trash time.Duration
	// Revisions is how long a version stays after another has replaced it; 0 is for ever.
	Revisions time.Duration
}

// Usage is what a workspace holds, what one note holds, or the difference of two of these.
type Usage struct {
	Notes int32 // not in the trash
	Bytes int64 // of all bodies, the trash included
}

// Since is how much more u is than before.
func (u Usage) Since(before Usage) Usage {
	return Usage{Notes: u.Notes - before.Notes, Bytes: u.Bytes - before.Bytes}
}

// Usage is what the note is counted as.
func (n *Note) Usage() Usage {
	u := Usage{Notes: 1, Bytes: int64(len(n.Body))}
	if n.Trashed() {
		u.Notes = 0
	}
	return u
}

// Room is how much more a workspace takes; nil is any number. It is negative where a limit was lowered below what is there.
type Room struct {
	Notes *int64
	Bytes *int64
}

// Takes refuses what does not fit. What adds nothing fits always: a limit takes nothing away, and what is too long may become shorter.
func (r Room) Takes(more Usage) error {
	switch {
	case more.Notes > 0 && r.Notes != nil && int64(more.Notes) > *r.Notes:
		return errs.Forbidden("notes-limit-reached",
			"This workspace has as many notes as it may have. Put some into the trash, or ask whoever runs the workspace for more.")
	case more.Bytes > 0 && r.Bytes != nil && more.Bytes > *r.Bytes:
		return errs.Forbidden("storage-limit-reached",
			"This workspace holds as much text as it may hold. Shorten notes or delete some for good, from the trash, too, or ask whoever runs the workspace for more.")
	}
	return nil
}
