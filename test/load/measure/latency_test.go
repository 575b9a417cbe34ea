package measure

import (
	"testing"
	"time"
)

func TestQuantilesAreThoseOfWhatWasRecorded(t *testing.T) {
	t.Parallel()
	l := NewLatencies()
	for i := range 1000 {
		l.Record(time.Duration(i+1) * time.Millisecond)
	}
	for percent, want := range map[float64]time.Duration{50: 500 * time.Millisecond, 99: 990 * time.Millisecond, 100: time.Second} {
		if got := l.At(percent); got < want || got > want+want/500 {
			t.Errorf("%v %%: %v, want about %v", percent, got, want)
		}
	}
	if l.Count() != 1000 {
		t.Errorf("%d counted", l.Count())
	}
}

func TestWhatIsOutOfBoundsIsCountedAtTheBound(t *testing.T) {
	t.Parallel()
	l := NewLatencies()
	l.Record(-time.Second)
	l.Record(time.Hour)
	if l.Count() != 2 || l.At(1) != time.Microsecond || l.At(100) < longest {
		t.Errorf("%d counted, from %v to %v", l.Count(), l.At(1), l.At(100))
	}
}
