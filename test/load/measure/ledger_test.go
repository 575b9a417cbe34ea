package measure

import (
	"errors"
	"testing"
)

func TestTheLedgerTellsWhatHappenedToEachVersion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		saw  []int
		want Verdict
	}{
		"all in order":           {[]int{2, 3, 4, 5}, Verdict{}},
		"one lost in the middle": {[]int{2, 4, 5}, Verdict{Lost: 1}},
		"the last lost":          {[]int{2, 3, 4}, Verdict{Lost: 1}},
		"all lost":               {nil, Verdict{Lost: 4}},
		"one twice":              {[]int{2, 3, 3, 4, 5}, Verdict{Doubled: 1}},
		"an old one again":       {[]int{2, 3, 4, 5, 2}, Verdict{Doubled: 1}},
		"two swapped":            {[]int{2, 4, 3, 5}, Verdict{Inverted: 1}},
		"swapped and twice":      {[]int{2, 4, 3, 3, 5}, Verdict{Inverted: 1, Doubled: 1}},
		"the last first":         {[]int{5, 2, 3, 4}, Verdict{Inverted: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := NewLedger(1)
			for v := 2; v <= 5; v++ {
				l.Written(v)
			}
			for _, v := range c.saw {
				l.Saw(v)
			}
			c.want.Written, c.want.Seen = 4, len(c.saw)
			if got := l.Verdict(); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestWhatIsSeenBeforeItsAnswerIsNotLost(t *testing.T) {
	t.Parallel()
	l := NewLedger(7)
	l.Saw(8)
	l.Written(8)
	if v := l.Verdict(); v.Err() != nil || l.Behind() != 0 {
		t.Errorf("%+v, %d behind", v, l.Behind())
	}
}

func TestAResetLedgerGoesOnFromWhereItStands(t *testing.T) {
	t.Parallel()
	l := NewLedger(1)
	l.Written(2)
	l.Written(3)
	l.Saw(2)
	l.Reset()
	l.Written(4)
	l.Saw(4)
	if got, want := l.Verdict(), (Verdict{Written: 1, Seen: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEveryFaultMakesARunVoid(t *testing.T) {
	t.Parallel()
	for _, v := range []Verdict{{Lost: 1}, {Doubled: 1}, {Inverted: 1}, {Failed: 1}} {
		if !errors.Is(v.Err(), ErrVoid) {
			t.Errorf("%+v is not void", v)
		}
	}
	if err := (Verdict{Written: 3, Seen: 3}).Err(); err != nil {
		t.Error(err)
	}
}
