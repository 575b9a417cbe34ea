package stack

import (
	"strings"
	"testing"
	"time"
)

func TestUpgradesGoInWaves(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	const old, target = "1-aaaaaaaa", "2-bbbbbbbb"
	waits := func(key string) member { return member{key: key, revision: old, whole: old} }
	done := func(key string) member { return member{key: key, revision: target, whole: target} }
	rolls := func(key string, since time.Duration) member {
		return member{key: key, revision: target, whole: old, started: now.Add(-since), wasWhole: true}
	}
	for name, c := range map[string]struct {
		fleet  []member
		atOnce int
		self   string
		reason string // of staying; empty if it goes
		says   string
	}{
		"alone":                           {[]member{waits("a")}, 1, "a", "", ""},
		"the first":                       {[]member{waits("b"), waits("a")}, 1, "a", "", ""},
		"behind the first":                {[]member{waits("b"), waits("a")}, 1, "b", UpgradeQueued, "0 of 2 stacks are there, 1 at a time, 1 before"},
		"two at once":                     {[]member{waits("b"), waits("a")}, 2, "b", "", ""},
		"the third of two at once":        {[]member{waits("b"), waits("a"), waits("c")}, 2, "c", UpgradeQueued, ""},
		"while another is on its way":     {[]member{waits("a"), rolls("b", time.Minute)}, 1, "a", UpgradeQueued, ""},
		"after another has arrived":       {[]member{waits("b"), done("a")}, 1, "b", "", ""},
		"after another has failed":        {[]member{waits("b"), rolls("a", time.Hour)}, 9, "b", UpgradeHeld, "the upgrade of a to 2"},
		"failed at an earlier target":     {[]member{waits("b"), {key: "a", revision: "1.5-cccccccc", whole: old, started: now.Add(-time.Hour), wasWhole: true}}, 2, "b", "", ""},
		"another that was broken before":  {[]member{waits("b"), {key: "a", revision: target, whole: old, started: now.Add(-time.Hour)}}, 1, "b", "", ""},
		"while that is given time":        {[]member{waits("b"), {key: "a", revision: target, whole: old, started: now}}, 1, "b", UpgradeQueued, ""},
		"another that is being made":      {[]member{waits("b"), {key: "a", revision: target, started: now.Add(-time.Hour), wasWhole: true}}, 1, "b", "", ""},
		"another that is suspended":       {[]member{waits("b"), {key: "a", revision: old, whole: old, suspended: true}}, 1, "b", "", ""},
		"not in the list, as it was late": {[]member{done("a")}, 1, "b", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := wave{target: target, atOnce: c.atOnce, timeout: 10 * time.Minute}
			goes, reason, message := w.decide(c.self, c.fleet, now)
			if goes != (c.reason == "") || reason != c.reason || !strings.Contains(message, c.says) {
				t.Errorf("goes: %t, %s: %s", goes, reason, message)
			}
		})
	}
}

// Whoever asks, and in whichever order the fleet is seen, no more go than may.
func TestAFleetArrivesAFewAtATime(t *testing.T) {
	t.Parallel()
	w := wave{target: "2-b", atOnce: 2, timeout: time.Hour}
	var fleet []member
	for _, key := range strings.Split("h c a g b f e d", " ") {
		fleet = append(fleet, member{key: key, revision: "1-a", whole: "1-a"})
	}
	for round := 0; ; round++ {
		rolling := 0
		for i := range fleet {
			if goes, _, _ := w.decide(fleet[i].key, fleet, time.Time{}); fleet[i].revision != w.target && goes {
				fleet[i].revision, fleet[i].wasWhole = w.target, true
			}
			if fleet[i].rolling(w.target) {
				rolling++
			}
		}
		if rolling == 0 {
			if round != 4 {
				t.Errorf("arrived after %d rounds", round)
			}
			break
		}
		if rolling > 2 {
			t.Fatalf("%d at once", rolling)
		}
		for i := range fleet {
			fleet[i].whole = fleet[i].revision
		}
	}
	for _, m := range fleet {
		if m.whole != w.target {
			t.Errorf("%s was left behind", m.key)
		}
	}
}
