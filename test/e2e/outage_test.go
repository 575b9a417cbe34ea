//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"noteworks.dev/test/client"
)

func TestServicesThatStartWithoutTheirDatabaseSayWhatTheyWaitForAndHeal(t *testing.T) {
	s := sharedStack(t)
	ann := s.person(t, "Ann")
	note, err := ann.Create(t.Context(), "Kept", "kept")
	must(t, err)
	back := s.away(t, "postgres")
	for _, chart := range []string{"user", "note"} {
		eventually(t, time.Minute, chart+" says that it is not ready", s.notReady(chart))
	}
	began := time.Now()
	_, err = ann.Note(t.Context(), note.ID)
	if status := client.StatusOf(err); status != http.StatusServiceUnavailable {
		t.Errorf("without the database a note is answered %v, not 503", err)
	}
	t.Logf("without the database a request is answered 503 after %v", time.Since(began).Round(time.Millisecond))

	for _, chart := range []string{"user", "note"} {
		names, err := s.kill(t.Context(), chart)
		must(t, err)
		s.requireLogged(t, chart, names, "waiting", "the database at", "cannot be reached")
	}
	for _, chart := range []string{"user", "note"} {
		s.requireSteady(t, chart, 10*time.Second)
	}
	back()
	took := eventually(t, 90*time.Second, "everything heals", s.runs())
	t.Logf("everything was ready %v after the database was started again", took.Round(100*time.Millisecond))
	got, err := ann.Note(t.Context(), note.ID)
	if err != nil || got.Body != "kept" {
		t.Errorf("the note is %+v, %v", got, err)
	}
	for _, chart := range []string{"user", "note", "gateway"} {
		s.requireSteady(t, chart, 0)
	}
}

func TestServicesThatStartWithoutNATSSaySoAndHeal(t *testing.T) {
	s := sharedStack(t)
	ann, bob := s.person(t, "Ann"), s.person(t, "Bob")
	back := s.away(t, "nats")
	for _, chart := range []string{"user", "note", "gateway"} {
		names, err := s.kill(t.Context(), chart)
		must(t, err)
		s.requireLogged(t, chart, names, "nats", "not connected, trying on")
	}
	for _, chart := range []string{"user", "note", "gateway"} {
		s.requireSteady(t, chart, 5*time.Second)
	}
	back()
	took := eventually(t, 90*time.Second, "everything heals", s.runs())
	t.Logf("everything was ready %v after NATS was started again", took.Round(100*time.Millisecond))
	s.requireLive(t, ann, bob)
	for _, chart := range []string{"user", "note", "gateway"} {
		s.requireSteady(t, chart, 0)
	}
}

// requireLive waits until what one person writes is seen live by another.
func (s *stack) requireLive(t *testing.T, writer, watcher *client.Client) {
	t.Helper()
	eventually(t, 30*time.Second, "a share is seen live", func(ctx context.Context) error {
		if err := errors.Join(writer.Refresh(ctx), watcher.Refresh(ctx)); err != nil {
			return err
		}
		live, err := watcher.Watch(ctx, "")
		if err != nil {
			return err
		}
		defer live.Close()
		note, err := writer.Create(ctx, "Live", "live")
		if err != nil {
			return err
		}
		if err := writer.Share(ctx, note.ID, watcher.User().ID, "viewer"); err != nil {
			return err
		}
		waitFor(t, live, "note.v1.NoteShared", note.ID)
		return nil
	})
}

// notReady says that none of a chart's pods is ready.
func (s *stack) notReady(chart string) func(context.Context) error {
	return func(ctx context.Context) error {
		pods, err := s.pods(ctx, chart)
		if err == nil && readyPods(pods) > 0 {
			err = errors.New("a pod is ready")
		}
		return err
	}
}

// requireLogged waits until the pods that have come for the old ones each have a line in their log with the words.
func (s *stack) requireLogged(t *testing.T, chart string, old []string, words ...string) {
	t.Helper()
	eventually(t, time.Minute, fmt.Sprintf("%s says in its log what it is without: %q", chart, words), func(ctx context.Context) error {
		pods, err := s.pods(ctx, chart)
		if err != nil {
			return err
		}
		pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool { return slices.Contains(old, p.Name) || p.DeletionTimestamp != nil })
		if len(pods) == 0 {
			return errors.New("there is no new pod")
		}
		for _, p := range pods {
			line, ok := s.logbook.find(p.Name, words...)
			if !ok {
				return fmt.Errorf("%s has no such line", p.Name)
			}
			t.Logf("%s: %s", p.Name, line)
		}
		return nil
	})
}

// requireSteady fails if a container of the chart has been restarted, or is within the time.
func (s *stack) requireSteady(t *testing.T, chart string, during time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), max(during, time.Second))
	defer cancel()
	for tick := time.NewTicker(500 * time.Millisecond); ; {
		pods, err := s.pods(t.Context(), chart)
		must(t, err)
		for _, p := range pods {
			if restarts(p) > 0 {
				t.Fatalf("%s was restarted instead of waiting: %s", p.Name, stateOf(p))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func TestAMissingSecretIsNamedAndWaitedForAndThenFound(t *testing.T) {
	s := ownStack(t)
	const secret = "mine"
	must(t, s.install("--set", "note.database.existingSecret="+secret))
	eventually(t, 90*time.Second, "the others are ready", s.runs("user", "gateway", "nats", "postgres", "jaeger"))
	eventually(t, time.Minute, "an event names the secret", func(ctx context.Context) error {
		events, err := s.kube.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=" + corev1.EventTypeWarning})
		if err != nil {
			return err
		}
		for _, e := range events.Items {
			if strings.Contains(e.InvolvedObject.Name, s.name("note")) && strings.Contains(e.Message, fmt.Sprintf("%q", secret)) {
				t.Logf("%s: %s", e.Reason, e.Message)
				return nil
			}
		}
		return errors.New("there is no such event")
	})
	must(t, s.notReady("note")(t.Context()))
	s.requireSteady(t, "note", 0)

	made, err := s.kube.CoreV1().Secrets(s.namespace).Get(t.Context(), s.name("postgres-note"), metav1.GetOptions{})
	must(t, err)
	_, err = s.kube.CoreV1().Secrets(s.namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret}, Data: made.Data}, metav1.CreateOptions{})
	must(t, err)
	took := eventually(t, 2*time.Minute, "note heals", s.runs("note"))
	t.Logf("ready %v after the secret was made", took.Round(100*time.Millisecond))
	s.requireLive(t, s.person(t, "Ann"), s.person(t, "Bob"))
}
