package note

import "noteworks.dev/services/internal/errs"

// Role is what a person may do with a note. A greater one includes the smaller.
type Role uint8

// They are stored as these numbers. RoleNone is nobody's: who has it does not see the note.
const (
	RoleNone      Role = iota // not stored
	RoleViewer                // reads
	RoleCommenter             // reads, and will comment
	RoleEditor                // changes and shares
	RoleOwner                 // also trashes; there is always exactly one
)

// String is the role as the API spells it.
func (r Role) String() string {
	switch r {
	case RoleViewer:
		return "viewer"
	case RoleCommenter:
		return "commenter"
	case RoleEditor:
		return "editor"
	case RoleOwner:
		return "owner"
	case RoleNone:
	}
	return "none"
}

// ShareRole reads a role that can be given away; an owner is not made by sharing.
func ShareRole(name string) (Role, error) {
	for _, r := range []Role{RoleViewer, RoleCommenter, RoleEditor} {
		if r.String() == name {
			return r, nil
		}
	}
	return RoleNone, errs.Invalid("invalid-role", "A role is viewer, commenter or editor.").WithField("role")
}

// Act is something one may want with a note.
type Act uint8

const (
	// ToRead sees the note, its shares and its revisions.
	ToRead Act = iota
	// ToMark pins or archives it for oneself.
	ToMark
	// ToLeave gives up one's own share.
	ToLeave
	// ToEdit changes title, body or tags.
	ToEdit
	// ToShare gives, changes or takes away others' roles.
	ToShare
	// ToTrash puts it into the trash.
	ToTrash
	// ToReadTrashed sees it wherever it is.
	ToReadTrashed
	// ToRestore takes it out of the trash.
	ToRestore
	// ToDestroy deletes it for good.
	ToDestroy
)

// needs is the least role for an act.
func (a Act) needs() Role {
	switch a {
	case ToRead, ToMark, ToLeave, ToReadTrashed:
		return RoleViewer
	case ToEdit, ToShare:
		return RoleEditor
	case ToTrash, ToRestore, ToDestroy:
		return RoleOwner
	}
	return RoleOwner
}

// finds reports whether an act finds notes in the trash, and needsTrash whether it is only for those.
func (a Act) finds() bool      { return a == ToReadTrashed || a.needsTrash() }
func (a Act) needsTrash() bool { return a == ToRestore || a == ToDestroy }

// ErrNotFound is the answer about every note one may not see, whether it exists or not.
func ErrNotFound() error { return errs.NotFound("not-found", "There is no such note.") }

// May is the one place that says who may do what: nil, NotFound for a note the viewer may not see, Forbidden for one they may see and not
// treat so, Conflict when the note is not where the act needs it.
func (s *Sight) May(want Act) error {
	switch {
	case s.Role == RoleNone:
		return ErrNotFound()
	case s.Trashed() && (s.Role != RoleOwner || !want.finds()):
		return ErrNotFound()
	case s.Role < want.needs():
		return errs.Forbidden("role-too-low", "You are %s of this note; this takes the role %s.", s.Role, want.needs())
	case want.needsTrash() && !s.Trashed():
		return errs.Conflict("not-trashed", "The note is not in the trash.")
	}
	return nil
}
