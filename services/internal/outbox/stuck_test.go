package outbox

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"noteworks.dev/services/internal/event"
)

func TestAStreamThatTakesNothingAndDoesNotSayWhyIsMadeAnew(t *testing.T) {
	t.Parallel()
	fenced := fmt.Errorf("publish: %w", event.ErrFenced)
	unanswered := fmt.Errorf("publish: %w", event.ErrUnanswered)
	refused := errors.New("publish: maximum bytes exceeded")
	type step struct {
		second int
		end    uint64
		err    error
		anew   bool
	}
	for name, steps := range map[string][]step{
		"one that is stuck":                {{0, 7, fenced, false}, {10, 7, unanswered, false}, {21, 7, fenced, true}, {22, 1, fenced, false}},
		"one that moves":                   {{0, 7, fenced, false}, {15, 8, fenced, false}, {30, 9, fenced, false}, {45, 10, fenced, false}},
		"one that is full":                 {{0, 7, refused, false}, {30, 7, refused, false}, {60, 7, refused, false}},
		"one that cannot be asked between": {{0, 7, fenced, false}, {15, 7, event.ErrDisconnected, false}, {30, 7, fenced, false}},
		"one that cannot be corrected":     {{0, 7, fmt.Errorf("correct: %w", event.ErrBeyondCorrection), true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s stuck
			for _, step := range steps {
				s.at(step.end)
				if why := s.after(step.err, time.Unix(1000+int64(step.second), 0)); (why != "") != step.anew {
					t.Errorf("after %d s: %q", step.second, why)
				}
			}
		})
	}
}
