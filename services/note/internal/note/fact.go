package note

import "time"

// Fact is something that has happened to a note. The store writes it into rows and tells it to the others, in one transaction.
type Fact interface{ fact() }

// Created: a note was written for the first time.
type Created struct{}

// Changed carries the new value of what changed, and nil for what did not.
type Changed struct {
	Title *string
	Body  *string
	Tags  *[]string
}

// Trashed: the owner put it into the trash.
type Trashed struct{}

// Restored: the owner took it out again.
type Restored struct{}

// Destroyed: it is gone for good.
type Destroyed struct{}

// Shared: a person may see it now, or in another role than before.
type Shared struct {
	With Person
	As   Role
	At   time.Time
}

// Unshared: a person does not see it any more.
type Unshared struct{ From PersonID }

// Pinned: the viewer pinned or unpinned it for themselves.
type Pinned struct{ On bool }

// Archived: the viewer archived it for themselves, or took it back.
type Archived struct{ On bool }

// OwnerChanged: the owner before was deleted, To has it now.
type OwnerChanged struct{ To PersonID }

func (Created) fact()      {}
func (Changed) fact()      {}
func (Trashed) fact()      {}
func (Restored) fact()     {}
func (Destroyed) fact()    {}
func (Shared) fact()       {}
func (Unshared) fact()     {}
func (Pinned) fact()       {}
func (Archived) fact()     {}
func (OwnerChanged) fact() {}

// Hears is who is told f, given the sight after it: everyone who may see the note, except where a fact is the viewer's own affair or
// the owner's.
func (s *Sight) Hears(f Fact) []PersonID {
	switch f := f.(type) {
	case Created, Destroyed:
		return []PersonID{s.Owner}
	case Pinned, Archived:
		return []PersonID{s.Viewer}
	case Shared:
		return with(s.Audience, f.With.ID)
	case Unshared:
		return with(s.Audience, f.From)
	case OwnerChanged:
		return with(s.Audience, f.To)
	case Changed, Trashed, Restored:
	}
	return s.Audience
}

func with(people []PersonID, one PersonID) []PersonID {
	for _, p := range people {
		if p == one {
			return people
		}
	}
	return append(people[:len(people):len(people)], one)
}
