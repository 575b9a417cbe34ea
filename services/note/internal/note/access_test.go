package note

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"noteworks.dev/services/internal/errs"
)

// The whole table, by role and place: "" may, otherwise the code.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	const none, low, kept = "not-found", "role-too-low", "not-trashed"
	acts := []Act{ToRead, ToMark, ToLeave, ToEdit, ToShare, ToTrash, ToReadTrashed, ToRestore, ToDestroy}
	for _, c := range []struct {
		role    Role
		trashed bool
		want    []string
	}{
		{RoleNone, false, []string{none, none, none, none, none, none, none, none, none}},
		{RoleViewer, false, []string{"", "", "", low, low, low, "", low, low}},
		{RoleCommenter, false, []string{"", "", "", low, low, low, "", low, low}},
		{RoleEditor, false, []string{"", "", "", "", "", low, "", low, low}},
		{RoleOwner, false, []string{"", "", "", "", "", "", "", kept, kept}},
		{RoleNone, true, []string{none, none, none, none, none, none, none, none, none}},
		{RoleViewer, true, []string{none, none, none, none, none, none, none, none, none}},
		{RoleCommenter, true, []string{none, none, none, none, none, none, none, none, none}},
		{RoleEditor, true, []string{none, none, none, none, none, none, none, none, none}},
		{RoleOwner, true, []string{none, none, none, none, none, none, "", "", ""}},
	} {
		t.Run(fmt.Sprintf("%s, trashed %t", c.role, c.trashed), func(t *testing.T) {
			for i, act := range acts {
				if got := codeOf(sightOf(c.role, c.trashed).May(act)); got != c.want[i] {
					t.Errorf("act %d: %q, want %q", act, got, c.want[i])
				}
			}
		})
	}
}

func sightOf(role Role, trashed bool) *Sight {
	s := &Sight{Note: Note{ID: "n", Owner: "owner", Version: 1}, Viewer: "viewer", Role: role}
	if role == RoleOwner {
		s.Viewer = "owner"
	}
	if trashed {
		s.TrashedAt = time.Unix(1, 0)
	}
	return s
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return errs.CodeOf(err)
}

func TestAccessRules(t *testing.T) {
	t.Parallel()
	anyRole := rapid.SampledFrom([]Role{RoleNone, RoleViewer, RoleCommenter, RoleEditor, RoleOwner})
	anyAct := rapid.SampledFrom([]Act{ToRead, ToMark, ToLeave, ToEdit, ToShare, ToTrash, ToReadTrashed, ToRestore, ToDestroy})
	t.Run("a greater role may no less", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			less, more := anyRole.Draw(t, "role"), anyRole.Draw(t, "role")
			if less > more {
				less, more = more, less
			}
			act, trashed := anyAct.Draw(t, "act"), rapid.Bool().Draw(t, "trashed")
			if sightOf(less, trashed).May(act) == nil && sightOf(more, trashed).May(act) != nil {
				t.Fatalf("%s may %d, %s may not", less, act, more)
			}
		})
	})
	t.Run("what one may not read, one cannot learn of", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			s := sightOf(anyRole.Draw(t, "role"), rapid.Bool().Draw(t, "trashed"))
			err := s.May(anyAct.Draw(t, "act"))
			if s.May(ToReadTrashed) != nil && errs.KindOf(err) != errs.KindNotFound {
				t.Fatalf("%v", err)
			}
		})
	})
	t.Run("nobody makes an owner, nobody unmakes one", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			s := sightOf(anyRole.Draw(t, "role"), rapid.Bool().Draw(t, "trashed"))
			if _, err := s.shareWith(Person{ID: s.Owner, Active: true}, RoleOwner, RoleViewer, time.Now()); err == nil {
				t.Fatal("the owner's role was changed")
			}
			if _, err := s.unshare(s.Owner, RoleOwner); err == nil {
				t.Fatal("the owner's role was taken away")
			}
			if _, err := ShareRole(RoleOwner.String()); err == nil {
				t.Fatal("the role owner can be given")
			}
		})
	})
	t.Run("everyone touched by a fact hears it, once", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			s := sightOf(RoleOwner, false)
			s.Audience = []PersonID{"owner"}
			for i := range rapid.IntRange(0, 4).Draw(t, "others") {
				s.Audience = append(s.Audience, PersonID(fmt.Sprint(i)))
			}
			who := PersonID(fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "who")))
			for _, f := range []Fact{Shared{With: Person{ID: who}}, Unshared{From: who}, OwnerChanged{To: who}} {
				heard := map[PersonID]int{}
				for _, p := range s.Hears(f) {
					heard[p]++
				}
				if heard[who] != 1 || heard["owner"] != 1 || len(heard) < len(s.Audience) {
					t.Fatalf("%T is heard by %v", f, heard)
				}
			}
		})
	})
}

func TestTagsAreCleaned(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tags := rapid.SliceOfN(rapid.StringMatching(`[ ]?[a-cA-C]{1,3}[ ]?`), 0, MaxTags).Draw(t, "tags")
		got, err := cleanTags(tags)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, g := range got {
			if seen[TagKey(g)] || g == "" || g[0] == ' ' || g[len(g)-1] == ' ' {
				t.Fatalf("%q became %q", tags, got)
			}
			seen[TagKey(g)] = true
		}
		for _, tag := range tags {
			if !seen[TagKey(tag)] {
				t.Fatalf("%q was lost from %q", tag, got)
			}
		}
	})
}

// A note's versions are in the order of their times, whatever the clock does; a mark is seen in whole seconds.
func TestTimeGoesForward(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := sightOf(RoleOwner, false)
		s.UpdatedAt = time.Unix(1000, 500)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			now := time.Unix(rapid.Int64Range(900, 1100).Draw(t, "now"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
			before := *s
			if rapid.Bool().Draw(t, "mark") {
				s.see(now)
				if !s.ModifiedAt().Truncate(time.Second).After(before.ModifiedAt().Truncate(time.Second)) {
					t.Fatalf("seen at %v, before at %v", s.ModifiedAt(), before.ModifiedAt())
				}
				continue
			}
			s.touch(now)
			if !s.UpdatedAt.After(before.UpdatedAt) || s.Version != before.Version+1 {
				t.Fatalf("version %d of %v after %d of %v", s.Version, s.UpdatedAt, before.Version, before.UpdatedAt)
			}
		}
	})
}

func TestANoteIsSharedWithSoMany(t *testing.T) {
	t.Parallel()
	s := sightOf(RoleOwner, false)
	s.Audience = make([]PersonID, MaxShares+1)
	guest := Person{ID: "guest", Active: true}
	if _, err := s.shareWith(guest, RoleNone, RoleViewer, time.Now()); codeOf(err) != "too-many-shares" {
		t.Fatalf("one more: %v", err)
	}
	if _, err := s.shareWith(guest, RoleViewer, RoleEditor, time.Now()); err != nil {
		t.Fatalf("another role: %v", err)
	}
	s.Audience = s.Audience[1:]
	if _, err := s.shareWith(guest, RoleNone, RoleViewer, time.Now()); err != nil {
		t.Fatalf("the last: %v", err)
	}
}
