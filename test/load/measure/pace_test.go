package measure

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestAStallDelaysWhatFollowsAndLeavesNothingOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var intended, late []time.Duration
		Rate(start, 100, 100*time.Millisecond).Run(t.Context(), func(at time.Time) {
			intended, late = append(intended, at.Sub(start)), append(late, time.Since(at))
			if len(intended) == 3 {
				time.Sleep(35 * time.Millisecond)
			}
		})
		if len(intended) != 10 {
			t.Fatalf("%d of 10 were sent", len(intended))
		}
		for i, at := range intended {
			if want := time.Duration(i) * 10 * time.Millisecond; at != want {
				t.Errorf("the %d. was meant for %v, not %v", i, at, want)
			}
		}
		for i, want := range []time.Duration{0, 0, 0, 25, 15, 5, 0, 0, 0, 0} {
			if late[i] != want*time.Millisecond {
				t.Errorf("the %d. was %v late, not %v ms", i, late[i], int64(want))
			}
		}
	})
}

func TestTheSharesOfAScheduleAreTheSchedule(t *testing.T) {
	t.Parallel()
	whole := Rate(time.Unix(0, 0), 1000, 107*time.Millisecond)
	due := map[time.Time]int{}
	for i := range 10 {
		part := whole.Share(i, 10)
		for n := range part.Count {
			due[part.Start.Add(time.Duration(n)*part.Gap)]++
		}
	}
	if len(due) != whole.Count || whole.Count != 107 {
		t.Fatalf("%d times in the parts, %d in the whole", len(due), whole.Count)
	}
	for i := range whole.Count {
		if due[whole.Start.Add(time.Duration(i)*whole.Gap)] != 1 {
			t.Errorf("the %d. time is not in exactly one part", i)
		}
	}
}

func TestAScheduleEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 45*time.Millisecond)
		defer cancel()
		sent := 0
		Rate(time.Now(), 100, time.Hour).Run(ctx, func(time.Time) { sent++ })
		if sent != 5 {
			t.Errorf("%d were sent in 45 ms", sent)
		}
	})
}
