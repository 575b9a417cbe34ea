package session_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/session"
)

// rotation is a session and all that was ever given out for it, in the order in which it was.
type rotation struct {
	now     time.Time
	session session.Session
	given   []session.Token
	retired []time.Time // when given[i] was replaced; one shorter than given
}

// TestRotation holds a session against what it should do, whoever comes with whatever token at whatever time.
func TestRotation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := &rotation{now: time.Unix(1_700_000_000, 0)}
		s, first, err := session.New(id, person.Person{ID: "p", Workspace: "w"}, r.now, lifetimes())
		if err != nil {
			t.Fatal(err)
		}
		r.session, r.given = s, []session.Token{first}
		for range rapid.IntRange(1, 60).Draw(t, "refreshes") {
			r.now = r.now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "pause")) * time.Millisecond)
			back := rapid.IntRange(0, min(3, len(r.given)-1)).Draw(t, "generations back")
			if over := r.refresh(t, len(r.given)-1-back); over {
				return
			}
		}
	})
}

// refresh comes with the token of a generation, and reports whether that was the end of the session.
func (r *rotation) refresh(t *rapid.T, generation int) (over bool) {
	next, facts, err := r.session.Refresh(r.given[generation], r.now, lifetimes())
	if err != nil {
		t.Fatalf("a token of ours, of generation %d, is refused: %v", generation, err)
	}
	latest := len(r.given) - 1
	switch {
	case generation == latest:
		if facts != nil || next == r.given[latest] {
			t.Fatalf("the current token gives %v, %v", next, facts)
		}
		r.given, r.retired = append(r.given, next), append(r.retired, r.now)
	case r.now.Sub(r.retired[generation]) <= session.Grace:
		if facts != nil || next != r.given[latest] {
			t.Fatalf("a token replaced %s ago does not lead to the current one: %v", r.now.Sub(r.retired[generation]), facts)
		}
	default:
		if len(facts) != 1 || next != (session.Token{}) {
			t.Fatalf("a token replaced %s ago is taken", r.now.Sub(r.retired[generation]))
		}
		return true
	}
	return false
}
