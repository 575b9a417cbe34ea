// Package note knows what a note is, who may do what with it, and what has happened to one when something did.
//
// It promises: access is asked in one place (Sight.May), and what one may not see is errs.NotFound; every change is returned as a Fact,
// which is both what the store writes and what the others are told; limits are refused with the field that breaks them.
// Imports the standard library and errs. Knows no SQL, HTTP or protobuf.
package note

import "time"

// ID names a note. It is a UUID in its canonical spelling.
type ID string

// PersonID names a person.
type PersonID string

// WorkspaceID names the tenant.
type WorkspaceID string

// Actor is who is acting, as the verified token says.
type Actor struct {
	Person    PersonID
	Workspace WorkspaceID
}

// Note is a piece of Markdown with one owner. Version grows by one with each change of title, body or tags, with the trash and with the
// way back; UpdatedAt and UpdatedBy belong to that version.
type Note struct {
	ID        ID
	Owner     PersonID
	Title     string
	Body      string
	Tags      []string
	Version   int32
	CreatedAt time.Time
	UpdatedAt time.Time
	UpdatedBy PersonID
	TrashedAt time.Time // zero unless it is in the trash
}

// Trashed reports whether the note is in its owner's trash.
func (n *Note) Trashed() bool { return !n.TrashedAt.IsZero() }

// Sight is a note as one person sees it: what it says, what they may do, and what they noted for themselves.
type Sight struct {
	Note
	Viewer PersonID
	Role   Role // RoleNone: the viewer does not see the note
	Marks  Marks
	// Audience is everyone with a role, the owner included.
	Audience []PersonID
	// Names as far as this service knows them.
	OwnerName, UpdatedByName, ViewerName string
	// SeenAt is when this sight last changed other than by a new version: a mark, a role, an owner.
	SeenAt time.Time
}

// Marks are a person's own; others do not see them.
type Marks struct {
	Pinned   bool
	Archived bool
}

// ModifiedAt is when what the viewer sees last changed.
func (s *Sight) ModifiedAt() time.Time {
	if s.SeenAt.After(s.UpdatedAt) {
		return s.SeenAt
	}
	return s.UpdatedAt
}

// Item is a note in a list: an excerpt instead of the body.
type Item struct {
	Sight
	Excerpt string
	Shared  bool // others than the owner see it
}

// Revision is a note as it was at a version.
type Revision struct {
	Version    int32
	Title      string
	Body       string
	Tags       []string
	Author     PersonID
	AuthorName string
	CreatedAt  time.Time
}

// TagCount says how many of the notes one may see carry a tag.
type TagCount struct {
	Tag   string
	Notes int
}

// see moves SeenAt on by at least a whole second beyond all that the viewer was told so far, because HTTP dates have no finer grain and a mark must
// not leave the validators as they were.
func (s *Sight) see(now time.Time) {
	s.SeenAt = laterSecond(s.ModifiedAt(), now)
}

func laterSecond(before, now time.Time) time.Time {
	if next := before.Truncate(time.Second).Add(time.Second); now.Before(next) {
		return next
	}
	return now
}
