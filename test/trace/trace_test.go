package trace_test

import (
	"slices"
	"testing"

	"noteworks.dev/test/trace"
)

// click is the trace of a change: the browser's own span is 0 and not in it.
func click() trace.Trace {
	return trace.Trace{
		{Service: "note", Name: "publish note.v1.NoteChanged", ID: "3", Parent: "2", Begin: 3},
		{Service: "gateway", Name: "PATCH", ID: "1", Parent: "0", Begin: 1},
		{Service: "note", Name: "PATCH /api/v1/notes/{id}", ID: "2", Parent: "1", Begin: 2},
		{Service: "gateway", Name: "push note.v1.NoteChanged", ID: "4", Parent: "3", Begin: 4},
	}
}

func TestAPathIsFoundDownwardsWithGapsAndOnlyThere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want bool
		path []string
	}{
		{true, []string{"gateway: PATCH"}},
		{true, []string{"gateway: PATCH", "note: publish", "gateway: push"}},
		{true, []string{"note: PATCH", "gateway: push note.v1.NoteChanged"}},
		{false, []string{"gateway: push", "note: publish"}},
		{false, []string{"gateway: PATCH", "user: find"}},
		{false, []string{"user: PATCH", "note: publish"}},
	} {
		if got := click().HasPath(c.path...); got != c.want {
			t.Errorf("%q is in the trace: %v", c.path, got)
		}
	}
}

func TestAHoleLeavesAnOrphan(t *testing.T) {
	t.Parallel()
	whole := click()
	if got := whole.Orphans("0"); len(got) != 0 {
		t.Errorf("a whole trace has orphans: %v", got)
	}
	holed := slices.DeleteFunc(click(), func(s trace.Span) bool { return s.ID == "3" })
	if got := holed.Orphans("0"); len(got) != 1 || got[0].ID != "4" {
		t.Errorf("without its publish the trace has the orphans %v", got)
	}
}

func TestATraceIsPrintedAsATreeInOrderOfTime(t *testing.T) {
	t.Parallel()
	want := "gateway: PATCH (0s)\n  note: PATCH /api/v1/notes/{id} (0s)\n    note: publish note.v1.NoteChanged (0s)\n      gateway: push note.v1.NoteChanged (0s)\n"
	if got := click().String(); got != want {
		t.Errorf("printed is\n%s", got)
	}
	if got := click().Services(); !slices.Equal(got, []string{"gateway", "note"}) {
		t.Errorf("the services are %v", got)
	}
}
