package live_test

import (
	"testing"
	"time"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/internal/errs"
)

func (w *world) join(who live.Identity) error {
	return w.hub.Join(w.hub.NewClient(func() {}, func() {}), who, "")
}

func TestASuspendedWorkspaceLosesItsSocketsAndNoOtherDoes(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann, bob := w.browser("ann"), w.browser("bob")
	stranger := w.browserAs(w.who("zoe", there), "")
	w.happen("waiting", "n1", "ann")
	w.applied(here, true)
	ann.mustRead("error:workspace-suspended", "close")
	bob.mustRead("error:workspace-suspended", "close")
	stranger.mustRead("ready")
}

func TestASocketThatWasOpenAlreadyCannotJoinASuspendedWorkspace(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann := w.who("ann", here)
	w.applied(here, true)
	if err := w.join(ann); errs.KindOf(err) != errs.KindUnavailable || errs.CodeOf(err) != live.CodeWorkspaceSuspended {
		t.Errorf("%v", err)
	}
	if err := w.join(w.who("zoe", there)); err != nil {
		t.Errorf("elsewhere: %v", err)
	}
}

func TestAResumedWorkspaceTakesTheSameSessionsBack(t *testing.T) {
	t.Parallel()
	w := startWorld(t, live.Limits{})
	ann := w.browser("ann")
	ann.mustRead("ready")
	w.applied(here, true)
	w.hub.Leave(ann.client)
	w.pass(time.Second)
	w.applied(here, false)
	back := w.browserAs(ann.who, ann.cursor)
	back.mustRead("ready")
	if n := w.hub.Endings().Len(); n != 0 {
		t.Errorf("%d endings", n)
	}
}

func TestASuspensionOfThePastIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Limits{})
	w.applied(here, true)
	w.applied(here, false)
	w.hub.Release()
	w.browser("ann").mustRead("ready")
	w.applied(here, true)
	w.pass(time.Hour) // who comes in now was asked for by host
	w.hub.Sweep()
	w.browser("ann").mustRead("ready")
}

func TestASuspensionReachesThoseWhoWaitForReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t, live.Limits{})
	ann := w.browser("ann")
	w.applied(here, true)
	ann.mustRead("error:workspace-suspended", "close")
	w.hub.Release()
	ann.mustRead("close")
}
