//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime/pkg/client"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/test/client"
)

// What the operator may take.
const (
	dedicatedTarget = 45 * time.Second
	driftTarget     = 30 * time.Second
	blockerTarget   = 5 * time.Second
)

// mainJob lets two people share a note live, and answers it with its owner.
func (m *team) mainJob(t *testing.T, w *v1alpha1.NoteWorkspace) (*client.Client, client.Note, click) {
	t.Helper()
	ann := m.owner(t, w)
	bob := m.guest(t, ann.Base())
	live, err := bob.Watch(t.Context(), "")
	must(t, err)
	defer live.Close()
	note, err := ann.Create(t.Context(), "Hello", "hello")
	must(t, err)
	share := newClick()
	_, err = ann.Do(t.Context(), http.MethodPut, "/api/v1/notes/"+note.ID+"/shares/"+bob.User().ID, share.header(), map[string]string{"role": "editor"}, nil)
	must(t, err)
	waitFor(t, live, "note.v1.NoteShared", note.ID)
	note, err = ann.Change(t.Context(), note.ID, note.Version, "hello, Bob")
	must(t, err)
	if seen := waitFor(t, live, "note.v1.NoteChanged", note.ID); seen.Body != "hello, Bob" {
		t.Errorf("Bob saw %+v", seen)
	}
	return ann, note, share
}

func TestOneApplyGivesATeamItsWorkspaceInTheSharedStack(t *testing.T) {
	m := thePlatform(t).team(t)
	w := sample(t, m.root, "shared.yaml", newSlug("acme"))
	m.apply(t, w)
	t.Logf("shared: apply to Ready took %v", m.ready(t, w, 20*time.Second).Round(time.Millisecond))
	if w.Status.URL == "" || w.Status.WorkspaceID != string(w.UID) {
		t.Errorf("the status is %+v", w.Status)
	}
	_, _, share := m.mainJob(t, w)
	m.requireInJaeger(t, share, []string{"gateway: PUT", "note: PUT /api/v1/notes/{id}/shares/{userId}", "note: publish note.v1.NoteShared", "gateway: push note.v1.NoteShared"})

	// From the reconcile through the call, the outbox and NATS into the note service.
	m.requireInJaeger(t, click{trace: w.Status.LastTraceID},
		[]string{"operator: workspace.v1.WorkspaceService/ApplyWorkspace", "user: workspace.v1.WorkspaceService/ApplyWorkspace", "user: publish workspace.v1.WorkspaceApplied", "note: process workspace.v1.WorkspaceApplied"})

	eventually(t, 2*time.Minute, "the status tells what the workspace holds", func(ctx context.Context) error {
		if err := m.api.Get(ctx, ctrl.ObjectKeyFromObject(w), w); err != nil {
			return err
		}
		if u := w.Status.Usage; u == nil || u.Members != 2 || u.Notes != 1 || u.Bytes != int64(len("hello, Bob")) {
			return fmt.Errorf("it is %+v", u)
		}
		return nil
	})
}

func TestADedicatedWorkspaceHasAStackOfItsOwnThatIsRepairedSuspendedAndUpgraded(t *testing.T) {
	p := thePlatform(t)
	m := p.team(t)
	w := sample(t, m.root, "dedicated.yaml", newSlug("solo"))
	w.Spec.Dedicated.Profile = v1alpha1.ProfileDev
	m.apply(t, w)
	took := m.ready(t, w, 2*time.Minute)
	t.Logf("dedicated: apply to Ready took %v; the target is %v", took.Round(100*time.Millisecond), dedicatedTarget)
	if took > dedicatedTarget {
		t.Errorf("apply to Ready took %v, more than %v", took, dedicatedTarget)
	}
	ann, note, _ := m.mainJob(t, w)

	t.Run("nobody else's token is worth anything in it", func(t *testing.T) {
		other := p.team(t)
		shared := sample(t, m.root, "shared.yaml", newSlug("acme"))
		other.apply(t, shared)
		other.ready(t, shared, 20*time.Second)
		stranger := other.owner(t, shared)
		_, err := ann.Do(t.Context(), http.MethodGet, "/api/v1/notes/"+note.ID, http.Header{"Authorization": {"Bearer " + stranger.Token()}}, nil, nil)
		if client.StatusOf(err) != http.StatusUnauthorized {
			t.Errorf("the answer to a token of another workspace is %v", err)
		}
		_, err = stranger.Do(t.Context(), http.MethodGet, "/api/v1/notes", http.Header{"Authorization": {"Bearer " + ann.Token()}}, nil, nil)
		if client.StatusOf(err) != http.StatusUnauthorized {
			t.Errorf("the platform's answer to a token of the dedicated workspace is %v", err)
		}
	})

	t.Run("what is deleted or changed by hand comes back", func(t *testing.T) {
		services := m.kube.CoreV1().Services(m.ns)
		deployments := m.kube.AppsV1().Deployments(m.ns)
		gateway, note := m.dedicatedService(t, w, "gateway"), m.dedicatedService(t, w, "note")
		must(t, services.Delete(t.Context(), gateway, metav1.DeleteOptions{}))
		_, err := deployments.Patch(t.Context(), note, types.MergePatchType, []byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{})
		must(t, err)
		took := eventually(t, driftTarget, "both are as they were", func(ctx context.Context) error {
			if _, err := services.Get(ctx, gateway, metav1.GetOptions{}); err != nil {
				return err
			}
			d, err := deployments.Get(ctx, note, metav1.GetOptions{})
			if err == nil && *d.Spec.Replicas != 1 {
				err = fmt.Errorf("%s has %d replicas", note, *d.Spec.Replicas)
			}
			return err
		})
		t.Logf("drift: repaired after %v", took.Round(time.Millisecond))
		m.ready(t, w, time.Minute)
	})

	t.Run("a new version of the platform rolls it", func(t *testing.T) {
		_, err := p.helm(p.operatorArgs("upgrade", "--set", "global.imageTag="+nextTag())...)
		must(t, err)
		eventually(t, 3*time.Minute, "the stack runs "+nextTag(), func(ctx context.Context) error {
			if err := m.api.Get(ctx, ctrl.ObjectKeyFromObject(w), w); err != nil {
				return err
			}
			if w.Status.StackVersion != nextTag() {
				return fmt.Errorf("its version is %q, its conditions %+v", w.Status.StackVersion, w.Status.Conditions)
			}
			return nil
		})
		list, err := m.kube.AppsV1().Deployments(m.ns).List(t.Context(), metav1.ListOptions{})
		must(t, err)
		for _, d := range list.Items {
			if image := d.Spec.Template.Spec.Containers[0].Image; !strings.HasSuffix(image, ":"+nextTag()) {
				t.Errorf("%s runs %s", d.Name, image)
			}
		}
		m.ready(t, w, time.Minute)
	})

	t.Run("suspended it runs no pod and forgets nothing", func(t *testing.T) {
		m.change(t, w, `{"spec":{"suspended":true}}`)
		m.becomes(t, w, time.Minute, v1alpha1.ConditionReady, metav1.ConditionFalse, "Suspended")
		eventually(t, time.Minute, "no pod runs", func(ctx context.Context) error {
			pods, err := m.kube.CoreV1().Pods(m.ns).List(ctx, metav1.ListOptions{})
			if err == nil && len(pods.Items) > 0 {
				err = fmt.Errorf("%s is there", pods.Items[0].Name)
			}
			return err
		})
		m.change(t, w, `{"spec":{"suspended":false}}`)
		t.Logf("dedicated: resume to Ready took %v", m.ready(t, w, 2*time.Minute).Round(100*time.Millisecond))
		m.requireNote(t, w, note)
	})

	t.Run("what is retained is found again by the same slug, and deleted is deleted", func(t *testing.T) {
		m.gone(t, w, time.Minute)
		eventually(t, time.Minute, "only volumes and Secrets are left", m.without(&appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &corev1.ServiceList{}, &corev1.PodList{}))
		volumes, err := m.kube.CoreV1().PersistentVolumeClaims(m.ns).List(t.Context(), metav1.ListOptions{})
		must(t, err)
		if len(volumes.Items) == 0 {
			t.Fatal("the volumes are gone")
		}
		again := w.DeepCopy()
		again.Name = "again"
		again.Spec.DeletionPolicy = v1alpha1.DeletionDelete
		again.Spec.Suspended = false
		m.apply(t, again)
		m.ready(t, again, 2*time.Minute)
		if again.Status.WorkspaceID != w.Status.WorkspaceID {
			t.Errorf("the workspace is %s and was %s", again.Status.WorkspaceID, w.Status.WorkspaceID)
		}
		m.gone(t, again, 2*time.Minute)
		eventually(t, time.Minute, "nothing is left", m.without(&appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &corev1.ServiceList{}, &corev1.PodList{}, &corev1.PersistentVolumeClaimList{}))
	})
}

// requireNote waits until the owner reads the note as it was.
func (m *team) requireNote(t *testing.T, w *v1alpha1.NoteWorkspace, note client.Note) {
	t.Helper()
	ann := m.owner(t, w)
	eventually(t, 30*time.Second, "the note is there", func(ctx context.Context) error {
		got, err := ann.Note(ctx, note.ID)
		if err == nil && got.Body != note.Body {
			err = fmt.Errorf("it is %q", got.Body)
		}
		return err
	})
}

// without says that the namespace holds nothing of these kinds.
func (m *team) without(kinds ...ctrl.ObjectList) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, list := range kinds {
			if err := m.api.List(ctx, list, ctrl.InNamespace(m.ns)); err != nil {
				return err
			}
			if n := meta.LenList(list); n > 0 {
				return fmt.Errorf("there are %d left of %T", n, list)
			}
		}
		return nil
	}
}

func TestASuspendedSharedWorkspaceSaysSoAndComesBack(t *testing.T) {
	m := thePlatform(t).team(t)
	w := sample(t, m.root, "shared.yaml", newSlug("pause"))
	m.apply(t, w)
	m.ready(t, w, 20*time.Second)
	ann, note, _ := m.mainJob(t, w)

	m.change(t, w, `{"spec":{"suspended":true}}`)
	eventually(t, 20*time.Second, "the workspace says that it is suspended", func(ctx context.Context) error {
		_, err := ann.Note(ctx, note.ID)
		if p, ok := errors.AsType[*client.Problem](err); !ok || p.Status != http.StatusServiceUnavailable || p.Code != "workspace-suspended" {
			return errors.Join(errors.New("it does not say so"), err)
		}
		return nil
	})
	m.becomes(t, w, 20*time.Second, v1alpha1.ConditionReady, metav1.ConditionFalse, "Suspended")
	began := time.Now()
	m.change(t, w, `{"spec":{"suspended":false}}`)
	m.requireNote(t, w, note)
	t.Logf("shared: resumed after %v", time.Since(began).Round(time.Millisecond))
}

func TestASlugBelongsToWhoHadItFirstAndComesBackToItsNamespace(t *testing.T) {
	p := thePlatform(t)
	m, rival := p.team(t), p.team(t)
	slug := newSlug("first")
	w := sample(t, m.root, "shared.yaml", slug)
	m.apply(t, w)
	m.ready(t, w, 20*time.Second)
	_, note, _ := m.mainJob(t, w)

	other := sample(t, m.root, "shared.yaml", slug)
	rival.apply(t, other)
	rival.becomes(t, other, 20*time.Second, v1alpha1.ConditionRegistered, metav1.ConditionFalse, "SlugTaken")
	m.gone(t, w, 30*time.Second)
	rival.becomes(t, other, 20*time.Second, v1alpha1.ConditionReady, metav1.ConditionFalse, "")
	if id := other.Status.WorkspaceID; id != "" {
		t.Errorf("the rival's workspace has id %s", id)
	}

	again := sample(t, m.root, "shared.yaml", slug)
	again.Name = "back"
	m.apply(t, again)
	m.ready(t, again, 20*time.Second)
	if again.Status.WorkspaceID != w.Status.WorkspaceID {
		t.Errorf("the workspace is %s and was %s", again.Status.WorkspaceID, w.Status.WorkspaceID)
	}
	ann := client.New(m.site(t, again), nil)
	secret, err := m.kube.CoreV1().Secrets(m.ns).Get(t.Context(), w.Name+"-owner", metav1.GetOptions{})
	must(t, err)
	must(t, ann.Login(t.Context(), string(secret.Data["email"]), string(secret.Data["password"])))
	got, err := ann.Note(t.Context(), note.ID)
	must(t, err)
	if got.Body != note.Body {
		t.Errorf("the note is %q", got.Body)
	}
}

func TestADeletionThatCannotGoOnSaysWhatBlocksItAndEndsWhenThatIsOver(t *testing.T) {
	for chart, why := range map[string]string{"user": "user", "postgres": "the data cannot be reached"} {
		t.Run("without "+chart, func(t *testing.T) {
			m := thePlatform(t).team(t)
			w := sample(t, m.root, "shared.yaml", newSlug("end"))
			w.Spec.DeletionPolicy = v1alpha1.DeletionDelete
			m.apply(t, w)
			m.ready(t, w, 20*time.Second)

			back := m.away(t, chart)
			must(t, m.api.Delete(t.Context(), w))
			took := eventually(t, 20*time.Second, "the workspace says what blocks its deletion", func(ctx context.Context) error {
				if err := m.api.Get(ctx, ctrl.ObjectKeyFromObject(w), w); err != nil {
					return err
				}
				c := meta.FindStatusCondition(w.Status.Conditions, v1alpha1.ConditionReady)
				if c == nil || c.Status != metav1.ConditionFalse || c.Reason != "DeletionBlocked" || !strings.Contains(c.Message, why) {
					return fmt.Errorf("it says %+v", c)
				}
				return nil
			})
			t.Logf("deletion: the blocker was named after %v", took.Round(time.Millisecond))
			if took > blockerTarget {
				t.Errorf("the blocker was named after %v, more than %v", took, blockerTarget)
			}
			back()
			eventually(t, 2*time.Minute, "the workspace is deleted", func(ctx context.Context) error {
				if err := m.api.Get(ctx, ctrl.ObjectKeyFromObject(w), w); !apierrors.IsNotFound(err) {
					return errors.Join(errors.New("it is still there"), err)
				}
				return nil
			})
			eventually(t, 90*time.Second, "everything heals", m.runs())
		})
	}
}

func TestTheOperatorMayNotDoWhatItNeedNot(t *testing.T) {
	p := thePlatform(t)
	config := rest.CopyConfig(p.config)
	config.Impersonate.UserName = "system:serviceaccount:" + p.namespace + ":" + operatorRelease
	for what, a := range map[string]authorizationv1.ResourceAttributes{
		"list all Secrets":              {Verb: "list", Resource: "secrets"},
		"watch Secrets":                 {Verb: "watch", Resource: "secrets", Namespace: p.namespace},
		"run commands in pods":          {Verb: "create", Resource: "pods", Subresource: "exec", Namespace: p.namespace},
		"bind roles":                    {Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"},
		"read nodes":                    {Verb: "list", Resource: "nodes"},
		"impersonate":                   {Verb: "impersonate", Resource: "users"},
		"mint tokens of other accounts": {Verb: "create", Resource: "serviceaccounts", Subresource: "token", Name: "default", Namespace: p.namespace},
		"delete namespaces":             {Verb: "delete", Resource: "namespaces"},
	} {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: config.Impersonate.UserName, ResourceAttributes: &a}}
		answer, err := p.kube.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		must(t, err)
		if answer.Status.Allowed {
			t.Errorf("the operator may %s: %s", what, answer.Status.Reason)
		}
	}
	as, err := apiClient(config)
	must(t, err)
	if err := as.List(t.Context(), &corev1.SecretList{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing all Secrets as the operator answers %v", err)
	}
}

func TestLimitsAndAccessHoldWhereTheSpecSaysSo(t *testing.T) {
	m := thePlatform(t).team(t)
	w := sample(t, m.root, "limits.yaml", newSlug("small"))
	w.Spec.Access = v1alpha1.Access{SignUp: v1alpha1.SignUpInvite}
	w.Spec.Limits = v1alpha1.Limits{Members: ptr.To[int32](2), Notes: ptr.To[int32](1), RequestsPerMinute: ptr.To[int32](200)}
	m.apply(t, w)
	m.ready(t, w, 20*time.Second)
	ann := m.owner(t, w)

	_, err := ann.Create(t.Context(), "First", "first")
	must(t, err)
	_, err = ann.Create(t.Context(), "Second", "second")
	requireProblem(t, "a note too many", err, http.StatusForbidden, "notes-limit-reached")

	requireProblem(t, "a stranger", client.New(ann.Base(), nil).Register(t.Context(), "eve@example.com", "Eve", password), http.StatusForbidden, "invitation-needed")
	must(t, m.invited(t, ann, "bob@example.com"))
	requireProblem(t, "a person too many", m.invited(t, ann, "carl@example.com"), http.StatusForbidden, "members-limit-reached")

	var refused error
	for range 200 { // the bucket holds a quarter of that
		if _, refused = ann.List(t.Context(), "view=all"); refused != nil {
			break
		}
	}
	requireProblem(t, "a request too many", refused, http.StatusTooManyRequests, "requests-limit-reached")
}

// invited has the owner invite somebody, who signs up with the code.
func (m *team) invited(t *testing.T, owner *client.Client, email string) error {
	t.Helper()
	var invitation struct{ Code string }
	_, err := owner.Do(t.Context(), http.MethodPost, "/api/v1/invitations", nil, map[string]string{"email": email}, &invitation)
	must(t, err)
	_, err = client.New(owner.Base(), nil).Do(t.Context(), http.MethodPost, "/api/v1/auth/register", nil,
		map[string]string{"email": email, "name": "Somebody", "password": password, "invitation": invitation.Code}, nil)
	return err
}

func requireProblem(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	if p, ok := errors.AsType[*client.Problem](err); !ok || p.Status != status || p.Code != code {
		t.Errorf("%s is answered %v, not %d %s", what, err, status, code)
	}
}
