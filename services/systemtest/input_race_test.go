package systemtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"noteworks.dev/test/client"
)

// atOnce sends n letters of one person at the same time.
func (a *attacked) atOnce(n int, c *client.Client, write func() letter) []answered {
	a.t.Helper()
	all := make([]sent, n)
	for i := range all {
		all[i] = sent{c.Token(), write()}
	}
	return a.together(all...)
}

// sent is a letter and whose it is.
type sent struct {
	token string
	letter
}

func (a *attacked) together(all ...sent) []answered {
	a.t.Helper()
	got, errs := make([]answered, len(all)), make([]error, len(all))
	var started, done sync.WaitGroup
	started.Add(len(all))
	for i, s := range all {
		done.Go(func() {
			started.Done()
			started.Wait()
			got[i], errs[i] = a.try(s.token, s.letter)
		})
	}
	done.Wait()
	for _, err := range errs {
		a.must(err)
	}
	return got
}

// TestNoOperationTakesAStaleVersion names, to every operation that takes If-Match, the versions that the note had and that it may have one day.
func TestNoOperationTakesAStaleVersion(t *testing.T) {
	t.Parallel()
	a := attack(t)
	for _, o := range a.operations {
		if !o.takes("If-Match") {
			continue
		}
		for _, version := range []int{1, a.version - 1, a.version + 1, 1<<31 - 1} {
			what := fmt.Sprintf("%s of version %d", o.id, version)
			got := a.send(a.ann.Token(), a.good(o).with("If-Match", fmt.Sprintf(`"%d"`, version)))
			if code := a.requireRefusal(what, got, http.StatusPreconditionFailed); code != "stale" {
				t.Errorf("%s is refused as %s", what, code)
			}
			var stale struct{ Current client.Note }
			if err := json.Unmarshal([]byte(got.text), &stale); err != nil || stale.Current.ID != a.ids["id"] || stale.Current.Version != a.version {
				t.Errorf("%s is shown %+v, %v", what, stale.Current, err)
			}
		}
	}
	a.requireUnharmed()
}

// TestEveryChangeThatComesManyTimesAtOnceIsMadeOnce sends each operation that changes something six times at the same moment.
func TestEveryChangeThatComesManyTimesAtOnceIsMadeOnce(t *testing.T) {
	t.Parallel()
	a := attack(t)
	live := a.watch(a.ann, "")
	twice := map[string]int{"note.v1.NoteShared": 2, "note.v1.NoteChanged": 2} // when the target was made, and by the operation
	seen := 0
	for _, o := range a.operations {
		if o.by != "accessToken" || o.method == http.MethodGet || o.takes("Idempotency-Key") {
			continue
		}
		seen++
		by, ids := a.target(o, fmt.Sprintf("person-%d", seen))
		done := 0
		for _, got := range a.atOnce(6, by, func() letter { return a.goodAt(o, ids) }) {
			if got.status < 300 {
				done++
				continue
			}
			a.requireRefusal(o.id+" at once", got, http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed)
		}
		if done == 0 || done > 1 && (o.takes("If-Match") || o.id == "updateMe") {
			t.Errorf("%s was done %d times", o.id, done)
		}
		last, err := a.ann.Create(a.ctx(), "Last", o.id)
		a.must(err)
		told := map[string]int{}
		for _, f := range a.until(live, last.ID) {
			if fact, err := f.Fact(); err == nil && fact.NoteID == ids["id"] {
				told[f.Event]++
			}
		}
		for event, times := range told {
			if times > max(1, twice[event]) {
				t.Errorf("%s six times at once: %s was told %d times", o.id, event, times)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d operations change something", seen)
	}
}

// target is what o may change, as no other operation has to find it, and who does it.
func (a *attacked) target(o operation, name string) (by *client.Client, ids map[string]string) {
	a.t.Helper()
	person := a.signUp(name)
	n, err := a.ann.Create(a.ctx(), name, "first")
	a.must(err)
	a.must(a.ann.Share(a.ctx(), n.ID, person.User().ID, "editor"))
	_, err = a.ann.Change(a.ctx(), n.ID, n.Version, "second")
	a.must(err)
	before := map[string]letter{
		"restoreNote":    {method: http.MethodDelete, path: "/api/v1/notes/" + n.ID},
		"reactivateUser": {method: http.MethodPost, path: "/api/v1/users/" + person.User().ID + "/deactivate"},
	}
	if l, needed := before[o.id]; needed {
		if got := a.send(a.ann.Token(), l); got.status != http.StatusNoContent {
			a.t.Fatalf("before %s: %d %s", o.id, got.status, got.text)
		}
	}
	ids = map[string]string{"id": n.ID, "userId": person.User().ID, "version": "1", "invitationId": a.invite(a.ann, name+"@invited.example").ID}
	if o.id == "updateMe" {
		return person, ids
	}
	return a.ann, ids
}

// TestAHundredSignUpsOfOneAddressAreOne asks at the public door, for the address in two spellings.
func TestAHundredSignUpsOfOneAddressAreOne(t *testing.T) {
	t.Parallel()
	a := attack(t)
	var all []sent
	for i := range 100 {
		email := []string{"eve@example.com", "EVE@Example.com"}[i%2]
		all = append(all, sent{"", letter{method: http.MethodPost, path: "/api/v1/auth/register"}.inHand(a.bodies["register"].with("email", `"`+email+`"`))})
	}
	var in []string
	for _, got := range a.together(all...) {
		var made struct{ AccessToken string }
		if got.status == http.StatusCreated {
			a.must(json.Unmarshal([]byte(got.text), &made))
			in = append(in, made.AccessToken)
			continue
		}
		a.requireRefusal("sign-up", got, http.StatusConflict, http.StatusTooManyRequests)
		if got.header.Get("Set-Cookie") != "" {
			t.Errorf("who was refused got a session: %v", got.header)
		}
	}
	if len(in) != 1 {
		t.Fatalf("%d sign-ups won", len(in))
	}
	if got := a.send(in[0], letter{method: http.MethodGet, path: "/api/v1/users?email=eve@example.com"}); strings.Count(got.text, "eve@example.com") != 1 {
		t.Errorf("who is in sees %d %s", got.status, got.text)
	}
}
