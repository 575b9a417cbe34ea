package registry

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// tokenLife is asked for; the API server may give another.
const tokenLife = time.Hour

// Tokens has the API server make tokens of the operator's own service account, one for each audience, and keeps them for two thirds of their lives.
type Tokens struct {
	api     client.Client
	account types.NamespacedName
	now     func() time.Time

	mu   sync.Mutex
	kept map[string]token
}

type token struct {
	value string
	until time.Time
}

// NewTokens makes tokens of account by api.
func NewTokens(api client.Client, account types.NamespacedName, now func() time.Time) *Tokens {
	return &Tokens{api: api, account: account, now: now, kept: map[string]token{}}
}

// For is a token that is worth something at audience and nowhere else.
func (t *Tokens) For(ctx context.Context, audience string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if k, ok := t.kept[audience]; ok && now.Before(k.until) {
		return k.value, nil
	}
	seconds := int64(tokenLife.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: &seconds}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: t.account.Namespace, Name: t.account.Name}}
	err := t.api.SubResource("token").Create(ctx, account, request)
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return "", &Failure{Kind: NotPermitted, Detail: fmt.Sprintf("the API server gives no token of ServiceAccount %s: %v", t.account, err), err: err}
	}
	if err != nil {
		return "", fmt.Errorf("token of %s for %s: %w", t.account, audience, err)
	}
	maps.DeleteFunc(t.kept, func(_ string, k token) bool { return now.After(k.until) }) // of stacks that are gone
	life := request.Status.ExpirationTimestamp.Sub(now)
	t.kept[audience] = token{value: request.Status.Token, until: now.Add(life * 2 / 3)}
	return request.Status.Token, nil
}

func (t *Tokens) forget(audience string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.kept, audience)
}
