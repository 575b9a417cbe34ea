package note

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"
)

// Store keeps notes and tells the others about them. Every method answers on behalf of actor, sees only the actor's workspace, and asks
// Sight.May, so that what one may not see is not found. A change and its telling are one transaction.
type Store interface {
	// Create keeps a new note, if the workspace has Room for it. With once, the same key again answers with the note of the first time and
	// replayed true, also where there is no room any more; with another draft it is errs.Unprocessable.
	Create(ctx context.Context, actor Actor, n Note, once *Once) (s Sight, replayed bool, err error)
	// Sight is the note as the actor sees it, if they May want.
	Sight(ctx context.Context, actor Actor, id ID, want Act) (Sight, error)
	// Update locks the note, lets decide judge it, and keeps and tells the fact that decide returns, if the workspace has Room for it; a nil
	// fact changes nothing. want is what decide will ask Sight.May for: only ToRestore may make one note more.
	// No network call belongs into decide: a row is locked while it runs, and it may run again after a deadlock.
	Update(ctx context.Context, actor Actor, id ID, want Act, decide func(*Sight) (Fact, error)) (Sight, error)
	// UpdateShare is Update for facts about the share of one person, whose role so far it passes along.
	UpdateShare(ctx context.Context, actor Actor, id ID, who PersonID, decide func(s *Sight, had Role) (Fact, error)) (Given, error)
	// Guest is somebody whom the actor, if they May Share, wants to let in; false when the copy does not know them.
	Guest(ctx context.Context, actor Actor, id ID, who PersonID) (Person, bool, error)

	List(ctx context.Context, actor Actor, q Query) (Page[Item], error)
	Tags(ctx context.Context, actor Actor) ([]TagCount, error)
	Shares(ctx context.Context, actor Actor, id ID, w Window) (Page[Given], error)
	Revisions(ctx context.Context, actor Actor, id ID, w Window) (Page[Revision], error)
	Revision(ctx context.Context, actor Actor, id ID, version int32) (Revision, error)
}

// Once makes a create happen once: a key of the caller's choosing, and what it was used for.
type Once struct {
	Key  string
	Hash [sha256.Size]byte
}

// OnceFor is key used for d.
func OnceFor(key string, d Draft) *Once {
	text, _ := json.Marshal(d) // three texts: it cannot fail
	return &Once{Key: key, Hash: sha256.Sum256(text)}
}

// View says which of the notes one sees are listed.
type View uint8

// What one archived is in no view but its own and, if pinned, that of the pins.
const (
	ViewAll      View = iota // one's own and others'
	ViewMine                 // one's own
	ViewShared               // others'
	ViewPinned               // what one pinned
	ViewArchived             // what one archived
	ViewTrash                // one's own trash
)

// Query selects notes.
type Query struct {
	View  View
	Tag   string // any spelling; "" for all
	Words string // to search for; "" lists by time
	Window
}

// Window is a part of a list.
type Window struct {
	After *Place // nil: from the beginning
	Limit int
}

// Place is where a page ended, in the terms of its list's order.
type Place struct {
	Rank    float32
	At      time.Time
	ID      string
	Version int32
}

// Page is a part of a list. Next is where it goes on, nil at the end.
type Page[T any] struct {
	Items []T
	Next  *Place
}
