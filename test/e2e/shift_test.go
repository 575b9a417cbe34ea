//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"noteworks.dev/test/desk"
)

// shifts are desks at work through whatever a story does.
type shifts struct {
	desks  []*desk.Desk
	shifts []*desk.Shift
	once   sync.Once
	ended  []desk.Result
	err    error
}

// shifts lets n pairs of people write and watch, ten changes a second each, until end.
func (s *stack) shifts(t *testing.T, n int) *shifts {
	t.Helper()
	all := &shifts{}
	for range n {
		d, err := desk.New(t.Context(), s.gateway(t), strings.ToLower(rand.Text()[:8]))
		must(t, err)
		all.desks = append(all.desks, d)
	}
	for _, d := range all.desks {
		all.shifts = append(all.shifts, d.Work(t.Context(), 100*time.Millisecond))
	}
	t.Cleanup(all.finish)
	return all
}

func (s *shifts) finish() {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		for _, one := range s.shifts {
			result, err := one.End(ctx)
			s.ended, s.err = append(s.ended, result), errors.Join(s.err, err)
		}
	})
}

// end requires that nothing acknowledged was lost, came twice or out of order.
func (s *shifts) end(t *testing.T) []desk.Result {
	t.Helper()
	s.finish()
	if s.err != nil {
		t.Error(s.err)
	}
	var found desk.Verdict
	writes := 0
	for i, d := range s.desks {
		found = found.Add(d.Verdict())
		writes += s.ended[i].Writes
	}
	t.Logf("%d writes acknowledged meanwhile: %v", writes, found)
	if !found.Good() {
		t.Errorf("what was seen differs from what was acknowledged: %v", found)
	}
	if writes == 0 {
		t.Error("nobody wrote anything")
	}
	return s.ended
}
