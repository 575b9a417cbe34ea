package controller

import (
	"context"
	"crypto/rand"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"noteworks.dev/operator/api/v1alpha1"
)

// The Secret of an owner stays with the data, not with the object: whoever takes the data up again finds the password that is valid there.
const (
	keyEmail, keyPassword, keyURL = "email", "password", "url"

	// labelManagedBy marks what is ours, with managedBy.
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "noteworks-operator"
	// labelSlug on an owner's Secret tells which workspace it opens; annotationMadeFor the UID of the object that it was made for.
	labelSlug         = "noteworks.dev/slug"
	annotationMadeFor = "noteworks.dev/made-for"
)

// byName is for what no cache holds: the client would wait for one to show what it has written.
const byName = client.DisableReadYourWritesConsistency

// secretProblem is what people can mend about the Secret of the owner.
type secretProblem struct{ reason, message string }

func (p *secretProblem) Error() string { return p.message }

func ownerSecretName(ws *v1alpha1.NoteWorkspace) string { return ws.Name + "-owner" }

// ownerPassword is the owner's first one, generated once: a Secret that is there is never written again.
func (r *Reconciler) ownerPassword(ctx context.Context, w *work) (string, error) {
	secret, err := r.ownerSecret(ctx, w)
	if err != nil {
		return "", err
	}
	if secret == nil {
		if secret, err = r.makeOwnerSecret(ctx, w); err != nil {
			return "", err
		}
	}
	if !ours(w, secret) || string(secret.Data[keyEmail]) != w.ws.Spec.Owner.Email || len(secret.Data[keyPassword]) == 0 {
		return "", &secretProblem{ReasonOwnerSecretTaken, fmt.Sprintf(
			"the Secret %s holds no password for %s in %s: rename or delete it, and one is made", secret.Name, w.ws.Spec.Owner.Email, w.ws.SlugOrName())}
	}
	return string(secret.Data[keyPassword]), nil
}

func (r *Reconciler) makeOwnerSecret(ctx context.Context, w *work) (*corev1.Secret, error) {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.ws.Namespace, Name: ownerSecretName(w.ws),
			Labels:      map[string]string{labelManagedBy: managedBy, labelSlug: w.ws.SlugOrName()},
			Annotations: map[string]string{annotationMadeFor: string(w.ws.UID)},
		},
		Data: map[string][]byte{keyEmail: []byte(w.ws.Spec.Owner.Email), keyPassword: []byte(rand.Text()), keyURL: []byte(r.url(w))},
	}
	err := r.Client.Create(ctx, secret, byName)
	if refusal(err) {
		return nil, &secretProblem{ReasonOwnerSecretRefused, err.Error()}
	}
	return secret, wrap("make the Secret "+secret.Name, err)
}

// ownerSecret is what has the name of the owner's Secret; nil if nothing has.
func (r *Reconciler) ownerSecret(ctx context.Context, w *work) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: w.ws.Namespace, Name: ownerSecretName(w.ws)}, &secret, byName)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // nothing has the name
	}
	return &secret, wrap("read the Secret "+ownerSecretName(w.ws), err)
}

func ours(w *work, s *corev1.Secret) bool {
	return s.Labels[labelManagedBy] == managedBy && s.Labels[labelSlug] == w.ws.SlugOrName()
}

// keepOwnerSecret names the Secret in the status of what has just been registered. One that was made for a workspace that turned out to have an owner
// already opens nothing, and goes.
func (r *Reconciler) keepOwnerSecret(ctx context.Context, w *work, adopted bool) error {
	secret, err := r.ownerSecret(ctx, w)
	if err != nil {
		return err
	}
	w.found.OwnerSecret = ""
	switch {
	case secret == nil || !ours(w, secret):
	case adopted && secret.Annotations[annotationMadeFor] == string(w.ws.UID):
		return r.deleteSecret(w.changing(ctx), secret)
	default:
		w.found.OwnerSecret = secret.Name
	}
	return nil
}

func (r *Reconciler) deleteSecret(ctx context.Context, secret *corev1.Secret) error {
	err := r.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID}, byName)
	return wrap("delete the Secret "+secret.Name, client.IgnoreNotFound(err))
}
