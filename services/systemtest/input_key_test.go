package systemtest

import (
	"net/http"
	"slices"
	"testing"
)

// TestOneIdempotencyKeyIsOneNote sends every operation that takes a key the same one many times at once: by one person, with another body, by other people.
func TestOneIdempotencyKeyIsOneNote(t *testing.T) {
	t.Parallel()
	a := attack(t)
	seen := 0
	for _, o := range a.operations {
		if !o.takes("Idempotency-Key") {
			continue
		}
		seen++
		one := func(l letter) letter { return l.with("Idempotency-Key", "one key") }
		other := a.bodies[o.id].with(a.bodies[o.id][0].name, `"Another"`)
		first := a.oneOf(o.id, a.atOnce(8, a.ann, func() letter { return one(a.good(o)) }))
		if code := a.requireRefusal(o.id+" with another body", a.send(a.ann.Token(), one(a.good(o)).inHand(other)), http.StatusUnprocessableEntity); code != "idempotency-key-reused" {
			t.Errorf("%s with another body is refused as %s", o.id, code)
		}
		places := []string{first}
		for _, l := range []struct {
			token string
			letter
		}{{a.bob.Token(), one(a.good(o))}, {a.mallory.Token(), a.at("other.localhost", one(a.good(o)))}} {
			got := a.send(l.token, l.letter)
			if got.status != http.StatusCreated || got.header.Get("Idempotent-Replayed") != "" {
				t.Errorf("%s with another person's key: %d %v %s", o.id, got.status, got.header, got.text)
			}
			places = append(places, got.header.Get("Location"))
		}
		turn := 0
		places = append(places, a.oneOf(o.id+" with two bodies", a.atOnce(8, a.ann, func() letter {
			turn++
			return a.good(o).with("Idempotency-Key", "another key").inHand([]string{a.bodies[o.id].String(), other}[turn%2])
		})))
		if slices.Sort(places); len(slices.Compact(places)) != 4 || places[0] == "" {
			t.Errorf("%s made %v", o.id, places)
		}
	}
	if seen == 0 {
		t.Error("no operation takes a key")
	}
}

func (o operation) takes(header string) bool {
	return slices.ContainsFunc(o.params, func(p parameter) bool { return p.In == "header" && p.Name == header })
}

// oneOf wants one of the answers to be of who did it and the others to say the same, or that the key is another body's. It returns what was made.
func (a *attacked) oneOf(what string, answers []answered) (place string) {
	a.t.Helper()
	made := 0
	for _, got := range answers {
		if got.status != http.StatusCreated {
			if code := a.requireRefusal(what, got, http.StatusUnprocessableEntity); code != "idempotency-key-reused" {
				a.t.Errorf("%s is refused as %s", what, code)
			}
			continue
		}
		if got.header.Get("Idempotent-Replayed") == "" {
			made++
		}
		if place == "" {
			place = got.header.Get("Location")
		}
		if got.header.Get("Location") != place {
			a.t.Errorf("%s made %s and %s", what, place, got.header.Get("Location"))
		}
	}
	if made != 1 {
		a.t.Errorf("%s was done %d times", what, made)
	}
	return place
}
