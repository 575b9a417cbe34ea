package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A member is a stack of the fleet, as far as upgrades are concerned.
type member struct {
	key             string // namespace/name of its NoteWorkspace
	revision, whole string // what is applied; what it was whole with last
	started         time.Time
	wasWhole        bool
	suspended       bool
}

// rolling says that the stack is on its way to the target. One that was never whole is being made, not upgraded.
func (m member) rolling(target string) bool {
	return m.revision == target && m.whole != target && m.whole != ""
}

// waiting says that the stack has its upgrade to the target before it. A suspended one has no pods, and takes it at once.
func (m member) waiting(target string) bool { return m.revision != target && !m.suspended }

// A wave is the bound that upgrades keep.
type wave struct {
	target  string
	atOnce  int
	timeout time.Duration
}

// decide returns whether the stack self may go to the target now, and if not, why: the reason and a sentence.
//
// The fleet is taken in the order of its names, so that everybody who looks at it comes to the same answer, whenever he looks: nobody has to
// remember who was let go. What is seen late only makes fewer go. A stack that was not whole before its upgrade takes a place while it is
// given time, but holds nobody: it says nothing about the new version.
func (w wave) decide(self string, fleet []member, now time.Time) (goes bool, reason, message string) {
	fleet = slices.SortedFunc(slices.Values(fleet), func(a, b member) int { return strings.Compare(a.key, b.key) })
	free, before, done := w.atOnce, 0, 0
	for _, m := range fleet {
		late := now.Sub(m.started) > w.timeout
		switch {
		case m.key == self:
		case m.rolling(w.target) && late && m.wasWhole:
			return false, UpgradeHeld, fmt.Sprintf("stays at its version: the upgrade of %s to %s did not come about within %s; it goes on when that one is whole again",
				m.key, versionOf(w.target), w.timeout)
		case m.rolling(w.target) && !late:
			free--
		case m.waiting(w.target) && m.key < self:
			before++
		case m.whole == w.target:
			done++
		}
	}
	if before < free {
		return true, "", ""
	}
	return false, UpgradeQueued, fmt.Sprintf("stays at its version until its turn to go to %s: %d of %d stacks are there, %d at a time, %d before this one",
		versionOf(w.target), done, len(fleet), w.atOnce, before)
}

// fleet returns all dedicated stacks that have a workspace.
func (e *Engine) fleet(ctx context.Context) ([]member, error) {
	var parents corev1.ConfigMapList
	if err := e.client.List(ctx, &parents, client.HasLabels{Label, setLabel}); err != nil {
		return nil, fmt.Errorf("list the stacks: %w", err)
	}
	var found []member
	for i := range parents.Items {
		p := parentIn(&parents.Items[i])
		if p.owner == "" || parents.Items[i].Annotations[toolingAnnotation] != tooling {
			continue
		}
		found = append(found, member{
			key: parents.Items[i].Namespace + "/" + p.owner, revision: p.revision, whole: p.whole,
			started: p.started, wasWhole: p.wasWhole, suspended: p.suspended,
		})
	}
	return found, nil
}
