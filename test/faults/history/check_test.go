package history_test

import (
	"strings"
	"testing"
	"time"

	"noteworks.dev/test/faults/history"
)

// story is a history that is told in milliseconds about one note, which begins at version 1 with the body "a".
type story struct{ h *history.History }

func newStory() story {
	s := story{history.New()}
	s.h.Began("n", 1, "a")
	s.h.Follows("cat", "n", 1)
	return s
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func (s story) wrote(begin, end, expected int, body string) {
	s.h.Wrote(history.Write{Note: "n", Expected: expected, Body: body, Begin: ms(begin), End: ms(end), Outcome: history.Acknowledged, Version: expected + 1})
}

func (s story) refused(begin, end, expected int, body string, version int, current string) {
	s.h.Wrote(history.Write{
		Note: "n", Client: 1, Expected: expected, Body: body, Begin: ms(begin), End: ms(end), Outcome: history.Refused, Version: version, Current: current,
	})
}

func (s story) unanswered(begin, end, expected int, body string) {
	s.h.Wrote(history.Write{Note: "n", Client: 2, Expected: expected, Body: body, Begin: ms(begin), End: ms(end), Outcome: history.Unknown})
}

func (s story) read(begin, end, version int, body string) {
	s.h.Did(history.Read{Note: "n", Client: 3, Begin: ms(begin), End: ms(end), Version: version, Body: body})
}

func (s story) saw(versions string) {
	for i, body := range strings.Fields(versions) {
		s.h.Saw(history.Frame{Reader: "cat", Note: "n", At: ms(i), Version: int(body[0]-'a') + 1, Body: body})
	}
}

func TestGoodHistoriesAreGood(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(story){
		"nothing happened": func(story) {},
		"one after the other": func(s story) {
			s.wrote(0, 1, 1, "b")
			s.wrote(2, 3, 2, "c")
			s.read(4, 5, 3, "c")
			s.saw("b c")
		},
		"two at once, one wins": func(s story) {
			s.wrote(0, 9, 1, "b")
			s.refused(0, 9, 1, "x", 2, "b")
			s.read(10, 11, 2, "b")
			s.saw("b")
		},
		"a read beside a write sees either": func(s story) {
			s.wrote(0, 9, 1, "b")
			s.read(1, 2, 1, "a")
			s.read(3, 4, 2, "b")
			s.read(10, 11, 2, "b")
			s.saw("b")
		},
		"what was not answered was done, later": func(s story) {
			s.unanswered(0, 1, 1, "b")
			s.read(2, 3, 1, "a")
			s.read(4, 5, 2, "b")
			s.saw("b")
		},
		"what was not answered was not done": func(s story) {
			s.unanswered(0, 1, 1, "x")
			s.wrote(2, 3, 1, "b")
			s.read(4, 5, 2, "b")
			s.saw("b")
		},
		"much was not answered": func(s story) {
			for range 200 {
				s.unanswered(0, 1, 1, "x")
			}
			s.wrote(2, 3, 1, "b")
			s.read(4, 5, 2, "b")
			s.saw("b")
		},
		"a reader was told to start anew": func(s story) {
			s.wrote(0, 1, 1, "b")
			s.wrote(2, 3, 2, "c")
			s.wrote(4, 5, 3, "d")
			s.h.Resync("cat")
			s.h.Follows("cat", "n", 3)
			s.read(6, 7, 4, "d")
			s.saw("d")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory()
			tell(s)
			if v := s.h.Check(); !v.Good() {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestEachViolationIsCaught(t *testing.T) {
	t.Parallel()
	lost := func(n int) history.Verdict { return history.Verdict{Lost: n} }
	for name, c := range map[string]struct {
		tell func(story)
		want history.Verdict
	}{
		"an acknowledged write is gone": {func(s story) {
			s.wrote(0, 1, 1, "b")
			s.read(2, 3, 1, "a")
			s.saw("b")
		}, history.Verdict{Lost: 1, Torn: 1}},
		"an acknowledged write was overwritten by another of the same version": {func(s story) {
			s.wrote(0, 1, 1, "b")
			s.wrote(2, 3, 1, "y")
			s.read(4, 5, 2, "y")
			s.h.Saw(history.Frame{Reader: "cat", Note: "n", Version: 2, Body: "y"})
		}, history.Verdict{Torn: 1}},
		"a read goes back in time": {func(s story) {
			s.wrote(0, 1, 1, "b")
			s.read(2, 3, 1, "a")
			s.read(4, 5, 2, "b")
			s.saw("b")
		}, history.Verdict{Torn: 1}},
		"a read sees what nobody wrote": {func(s story) {
			s.wrote(0, 1, 1, "b")
			s.read(2, 3, 2, "z")
			s.saw("b")
		}, history.Verdict{Torn: 1}},
		"a write is refused by what is not there": {func(s story) {
			s.wrote(0, 1, 1, "b")
			s.refused(2, 3, 2, "x", 3, "z")
			s.read(4, 5, 2, "b")
			s.saw("b")
		}, history.Verdict{Torn: 1}},
		"a version is skipped": {func(s story) {
			s.h.Wrote(history.Write{Note: "n", Expected: 1, Body: "b", End: ms(1), Outcome: history.Acknowledged, Version: 3})
			s.read(2, 3, 3, "b")
			s.saw("b")
		}, history.Verdict{Torn: 1, Lost: 1}},
		"an unanswered write is done and undone": {func(s story) {
			s.unanswered(0, 1, 1, "b")
			s.read(2, 3, 2, "b")
			s.read(4, 5, 1, "a")
			s.saw("b")
		}, history.Verdict{Torn: 1}},
		"a reader misses one in the middle": {func(s story) {
			s.wrote(0, 1, 1, "b")
			s.wrote(2, 3, 2, "c")
			s.read(4, 5, 3, "c")
			s.saw("c")
		}, lost(1)},
		"a reader misses the last": {func(s story) {
			s.wrote(0, 1, 1, "b")
			s.wrote(2, 3, 2, "c")
			s.read(4, 5, 3, "c")
			s.saw("b")
		}, lost(1)},
		"a reader misses all": {func(s story) {
			s.wrote(0, 1, 1, "b")
			s.read(4, 5, 2, "b")
		}, lost(1)},
		"a reader is shown something else": {func(s story) {
			s.wrote(0, 1, 1, "b")
			s.read(4, 5, 2, "b")
			s.h.Saw(history.Frame{Reader: "cat", Note: "n", Version: 2, Body: "x"})
		}, lost(1)},
		"a frame comes twice": {func(s story) {
			s.wrote(0, 1, 1, "b")
			s.read(4, 5, 2, "b")
			s.saw("b b")
		}, history.Verdict{Doubled: 1}},
		"frames come out of order": {func(s story) {
			s.wrote(0, 1, 1, "b")
			s.wrote(2, 3, 2, "c")
			s.read(4, 5, 3, "c")
			s.saw("b c b")
		}, history.Verdict{Unordered: 1}},
		"a reader that started anew misses what came after": {func(s story) {
			s.wrote(0, 1, 1, "b")
			s.wrote(2, 3, 2, "c")
			s.h.Follows("cat", "n", 2)
			s.read(4, 5, 3, "c")
		}, lost(1)},
		"the search does not find it": {func(s story) { s.h.Missing("the search finds n 0 times") }, lost(1)},
		"somebody else saw it":        {func(s story) { s.h.Foreign("eve read n") }, history.Verdict{Foreign: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory()
			c.tell(s)
			v := s.h.Check()
			told := v.Findings
			v.Findings = nil
			if v.Lost != c.want.Lost || v.Doubled != c.want.Doubled || v.Unordered != c.want.Unordered || v.Foreign != c.want.Foreign || v.Torn != c.want.Torn {
				t.Errorf("%+v, not %+v: %q", v, c.want, told)
			}
			if len(told) == 0 {
				t.Error("nothing is told")
			}
		})
	}
}

func TestNotesDoNotMix(t *testing.T) {
	t.Parallel()
	s := newStory()
	s.h.Began("m", 7, "m")
	s.wrote(0, 1, 1, "b")
	s.h.Wrote(history.Write{Note: "m", Expected: 7, Body: "m2", End: ms(1), Outcome: history.Acknowledged, Version: 8})
	s.read(2, 3, 2, "b")
	s.h.Did(history.Read{Note: "m", Begin: ms(2), End: ms(3), Version: 8, Body: "m2"})
	s.saw("b")
	if v := s.h.Check(); !v.Good() {
		t.Errorf("%+v", v)
	}
}
