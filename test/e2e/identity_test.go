//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	notev1 "noteworks.dev/services/api/gen/note/v1"
	"noteworks.dev/services/api/gen/note/v1/notev1connect"
	userv1 "noteworks.dev/services/api/gen/user/v1"
	"noteworks.dev/services/api/gen/user/v1/userv1connect"
)

// The pods of the services prove each other who they are all the time: sharing with somebody by e-mail does. Here others try.
func TestTheInternalPortTakesOnlyTokensMadeForItOfAServiceThatMayCall(t *testing.T) {
	s := sharedStack(t)
	note, user := s.accountOf(t, "note"), s.accountOf(t, "user")
	other, err := s.kube.CoreV1().ServiceAccounts(s.namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "stranger"}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		_ = s.kube.CoreV1().ServiceAccounts(s.namespace).Delete(s.ctx, other.Name, metav1.DeleteOptions{})
	})

	for name, c := range map[string]struct {
		token    string
		accepted bool
	}{
		"no token":                        {"", false},
		"words that are no token":         {"let me in", false},
		"the token of a caller":           {s.token(t, note, "noteworks-user"), true},
		"a caller's for the API server":   {s.token(t, note, ""), false},
		"a caller's for another service":  {s.token(t, note, "noteworks-note"), false},
		"another account's of this stack": {s.token(t, s.accountOf(t, "gateway"), "noteworks-user"), false},
		"its own account's":               {s.token(t, user, "noteworks-user"), false},
		"an account's without a service":  {s.token(t, other.Name, "noteworks-user"), false},
	} {
		t.Run("user/"+name, func(t *testing.T) {
			requireAnswer(t, s.askUser(t, c.token), c.accepted)
		})
	}
	for name, c := range map[string]struct {
		token    string
		accepted bool
	}{
		"no token":                {"", false},
		"the token of a caller":   {s.token(t, user, "noteworks-note"), true},
		"made for itself as user": {s.token(t, user, "noteworks-user"), false},
		"its own account's":       {s.token(t, note, "noteworks-note"), false},
	} {
		t.Run("note/"+name, func(t *testing.T) {
			requireAnswer(t, s.askNote(t, c.token), c.accepted)
		})
	}
}

// On a cluster whose network enforces policies the pod does not even get a connection.
func TestAPodWithoutATokenIsRefusedByTheInternalPort(t *testing.T) {
	s := sharedStack(t)
	servers, err := s.pods(t.Context(), "postgres")
	must(t, err)
	shell := servers[0].Spec.Containers[0]
	const ask = `exec 3<>/dev/tcp/%s/8082 || { echo "no connection"; exit 0; }
printf 'POST /user.v1.DirectoryService/GetPerson HTTP/1.1\r\nHost: user\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}' >&3
head -1 <&3`
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "stranger"},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: ptr.To(false), SecurityContext: servers[0].Spec.SecurityContext,
			Containers: []corev1.Container{{
				Name: "ask", Image: shell.Image, ImagePullPolicy: shell.ImagePullPolicy, SecurityContext: shell.SecurityContext,
				Command: []string{"timeout", "20", "bash", "-c", fmt.Sprintf(ask, s.name("user"))},
			}},
		},
	}
	_, err = s.kube.CoreV1().Pods(s.namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		_ = s.kube.CoreV1().Pods(s.namespace).Delete(s.ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
	})
	eventually(t, time.Minute, "the pod is refused", func(ctx context.Context) error {
		for _, refusal := range []string{"401", "no connection"} {
			if line, ok := s.logbook.find(pod.Name, refusal); ok {
				t.Log(line)
				return nil
			}
		}
		return errors.New("it has not said so: " + s.logbook.text(pod.Name))
	})
}

// requireAnswer tells what is refused at the door from what is let in, whatever it is answered there.
func requireAnswer(t *testing.T, err error, accepted bool) {
	t.Helper()
	code := connect.CodeOf(err)
	refused := err != nil && (code == connect.CodeUnauthenticated || code == connect.CodePermissionDenied)
	answered := err == nil || code == connect.CodeNotFound || code == connect.CodeInvalidArgument
	if accepted && !answered || !accepted && !refused {
		t.Errorf("accepted should be %v; the answer was %v", accepted, err)
	}
}

func (s *stack) askUser(t *testing.T, token string) error {
	t.Helper()
	call := connect.NewRequest(&userv1.GetPersonRequest{WorkspaceId: uuid.NewString(), UserId: uuid.NewString()})
	bearer(call.Header(), token)
	_, err := userv1connect.NewDirectoryServiceClient(http.DefaultClient, "http://"+s.service(t, "user", "8082")).GetPerson(t.Context(), call)
	return err
}

func (s *stack) askNote(t *testing.T, token string) error {
	t.Helper()
	call := connect.NewRequest(&notev1.GetUsageRequest{WorkspaceId: uuid.NewString()})
	bearer(call.Header(), token)
	_, err := notev1connect.NewUsageServiceClient(http.DefaultClient, "http://"+s.service(t, "note", "8082")).GetUsage(t.Context(), call)
	return err
}

func bearer(h http.Header, token string) {
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
}

// accountOf is the service account of a chart's pods.
func (s *stack) accountOf(t *testing.T, chart string) string {
	t.Helper()
	pods, err := s.pods(t.Context(), chart)
	must(t, err)
	if len(pods) == 0 {
		t.Fatalf("%s has no pod", chart)
	}
	return pods[0].Spec.ServiceAccountName
}

// token asks for what the kubelet projects into a pod of the account: for audience, or for the API server.
func (s *stack) token(t *testing.T, account, audience string) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](600)}}
	if audience != "" {
		request.Spec.Audiences = []string{audience}
	}
	answer, err := s.kube.CoreV1().ServiceAccounts(s.namespace).CreateToken(t.Context(), account, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(fmt.Errorf("token of %s for %q: %w", account, audience, err))
	}
	return answer.Status.Token
}
