package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/registry"
)

// register sees to it that the user service has the workspace as spec says. One that is at rest is only looked at.
func (r *Reconciler) register(ctx context.Context, w *work) error {
	if w.taken != "" {
		w.registered = w.no(w.taken, takenBy(w, w.taken))
		return nil
	}
	if !w.stack.is() {
		if !w.registered.is() {
			w.registered = w.no(ReasonWaitingForStack, "the workspace is registered once its stack is ready")
		}
		return nil
	}
	to, want := r.at(w), r.wanted(w.ws, w.id())
	have, err := r.Registry.Get(ctx, to, want.GetWorkspaceId())
	if err == nil && fits(have, want) {
		return r.registeredAs(ctx, w, have)
	}
	if err != nil && !registry.Is(err, registry.NotFound) {
		return r.unregistered(w, err)
	}
	got, err := r.apply(w.changing(ctx), w, want, have)
	if err != nil {
		return r.unregistered(w, err)
	}
	return r.registeredAs(ctx, w, got)
}

// apply registers the workspace, with a password as long as it has no owner.
func (r *Reconciler) apply(ctx context.Context, w *work, want *workspacev1.ApplyWorkspaceRequest, have *workspacev1.Workspace) (*workspacev1.Workspace, error) {
	if have.GetOwnerId() == "" {
		password, err := r.ownerPassword(ctx, w)
		if err != nil {
			return nil, err
		}
		want.Owner = &workspacev1.Owner{Email: w.ws.Spec.Owner.Email, Name: w.ws.Spec.Owner.NameOrDefault(), InitialPassword: password}
	}
	got, err := r.Registry.Apply(ctx, r.at(w), want)
	if err != nil {
		return nil, err
	}
	r.Log.InfoContext(ctx, "workspace applied", logged(w), slog.String("id", got.GetWorkspaceId()), slog.Int("version", int(got.GetVersion())))
	if w.registered.is() && w.registered.generation == w.ws.Generation && got.GetVersion() != have.GetVersion() {
		r.event(w, corev1.EventTypeWarning, EventRegisteredAgain, "The user service had lost or changed the workspace, as after a restored backup: it is registered as spec says again.")
	}
	return got, nil
}

// registeredAs notes what the user service answered.
func (r *Reconciler) registeredAs(ctx context.Context, w *work, have *workspacev1.Workspace) error {
	first := !w.registered.is()
	w.found.WorkspaceID = have.GetWorkspaceId()
	w.found.Usage = usageOf(have.GetUsage(), w.found.Usage)
	w.registered = w.yes(ReasonRegistered, "the user service has the workspace as spec says")
	if !first {
		return nil
	}
	adopted := have.GetWorkspaceId() != w.id()
	if adopted {
		r.event(w, corev1.EventTypeNormal, EventAdopted, "Took up the data of the earlier workspace of this slug: its people sign in as before.")
	}
	return r.keepOwnerSecret(ctx, w, adopted)
}

// unregistered makes a verdict of what people or time can mend, and returns everything else.
func (r *Reconciler) unregistered(w *work, err error) error {
	var secret *secretProblem
	if errors.As(err, &secret) {
		w.registered = w.no(secret.reason, secret.message)
		return nil
	}
	var f *registry.Failure
	if !errors.As(err, &f) {
		return wrap("register", err)
	}
	away := w.no
	if w.registered.is() || w.registered.reason == ReasonPlatformUnavailable && w.found.WorkspaceID != "" {
		away = w.unknown // it was there when last heard of
	}
	switch f.Kind {
	case registry.Unavailable:
		w.registered = away(ReasonPlatformUnavailable, fmt.Sprintf("%s does not answer: %s; it is tried again", r.at(w).URL, f.Detail))
	case registry.Absent:
		w.registered = away(ReasonPlatformNotFound, fmt.Sprintf("%s leads nowhere: is the platform installed, and does the operator know its release and namespace?", r.at(w).URL))
	case registry.NotPermitted:
		w.registered = away(ReasonNotPermitted, fmt.Sprintf(
			"%s does not take the operator for the operator (%s): set user.rpc.callers.operator of that release to %s, and user.rpc.audience to %s", r.at(w).URL, f.Detail, r.Config.Operator, r.at(w).Audience))
	case registry.Invalid:
		w.registered = w.no(ReasonInvalidSpec, fmt.Sprintf("%s is refused: %s", specField(f.Field), f.Detail))
	case registry.Conflict:
		reason := ReasonInvalidSpec
		switch f.Code {
		case registry.CodeSlugTaken:
			reason = ReasonSlugTaken
		case registry.CodeHostTaken:
			reason = ReasonHostTaken
		}
		w.registered = w.no(reason, takenBy(w, reason))
		if reason == ReasonInvalidSpec {
			w.registered.message = f.Detail
		}
	default:
		w.registered = away(ReasonPlatformFailed, fmt.Sprintf("%s failed: %s; look into its log", r.at(w).URL, f.Detail))
	}
	return nil
}

// takenBy says what to do about reason.
func takenBy(w *work, reason string) string {
	if reason == ReasonHostTaken {
		return fmt.Sprintf("another workspace has the host %s: choose another spec.host, or take it from the other", w.ws.Spec.Host)
	}
	return fmt.Sprintf("another workspace has the slug %s, or one of another namespace had it and its data is kept: make a NoteWorkspace with another spec.slug", w.ws.SlugOrName())
}

// specField is the field of spec that the service's field was made of.
func specField(field string) string {
	if field == "" {
		return "spec"
	}
	if field == "owner.initial_password" {
		return "the password in the Secret of the owner"
	}
	return "spec." + strings.NewReplacer("policy.sign_up", "access.signUp", "policy.email_domains", "access.emailDomains", "policy.", "").Replace(field)
}

func (r *Reconciler) wanted(ws *v1alpha1.NoteWorkspace, id string) *workspacev1.ApplyWorkspaceRequest {
	title := cmp.Or(strings.TrimSpace(ws.Spec.Title), ws.SlugOrName()) // as the service does, so that the two compare
	return &workspacev1.ApplyWorkspaceRequest{
		WorkspaceId: id, Slug: ws.SlugOrName(), Title: title, Host: ws.Spec.Host, Administrator: ws.Namespace, Policy: policyOf(&ws.Spec),
	}
}

func policyOf(spec *v1alpha1.NoteWorkspaceSpec) *workspacev1.Policy {
	signUp := map[v1alpha1.SignUp]workspacev1.SignUp{
		v1alpha1.SignUpInvite: workspacev1.SignUp_SIGN_UP_INVITATION, v1alpha1.SignUpClosed: workspacev1.SignUp_SIGN_UP_CLOSED,
	}
	domains := make([]string, 0, len(spec.Access.EmailDomains))
	for _, d := range spec.Access.EmailDomains {
		domains = append(domains, string(d))
	}
	slices.Sort(domains)
	policy := &workspacev1.Policy{
		SignUp: workspacev1.SignUp_SIGN_UP_OPEN, EmailDomains: domains,
		Limits: &workspacev1.Limits{
			Members: orZero(spec.Limits.Members), Notes: orZero(spec.Limits.Notes), RequestsPerMinute: orZero(spec.Limits.RequestsPerMinute),
		},
		Retention: &workspacev1.Retention{TrashDays: orZero(spec.Retention.TrashDays), RevisionDays: orZero(spec.Retention.RevisionDays)},
		Suspended: spec.Suspended,
	}
	if s, restricted := signUp[spec.Access.SignUp]; restricted {
		policy.SignUp = s
	}
	if b := spec.Limits.Bytes; b != nil {
		policy.Limits.Bytes = b.Value()
	}
	return policy
}

func orZero(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}

// fits reports whether have is what want asks for.
func fits(have *workspacev1.Workspace, want *workspacev1.ApplyWorkspaceRequest) bool {
	return have.GetOwnerId() != "" && have.GetReleasedAt() == nil &&
		have.GetSlug() == want.GetSlug() && have.GetTitle() == want.GetTitle() && have.GetHost() == want.GetHost() &&
		same(have.GetPolicy(), want.GetPolicy())
}

// same takes what is not set for what it means.
func same(a, b *workspacev1.Policy) bool {
	type flat struct {
		signUp                   workspacev1.SignUp
		domains                  string
		members, notes, requests int32
		bytes                    int64
		trash, revisions         int32
		suspended                bool
	}
	of := func(p *workspacev1.Policy) flat {
		return flat{
			max(p.GetSignUp(), workspacev1.SignUp_SIGN_UP_OPEN), strings.Join(slices.Sorted(slices.Values(p.GetEmailDomains())), ","),
			p.GetLimits().GetMembers(), p.GetLimits().GetNotes(), p.GetLimits().GetRequestsPerMinute(), p.GetLimits().GetBytes(),
			p.GetRetention().GetTrashDays(), p.GetRetention().GetRevisionDays(), p.GetSuspended(),
		}
	}
	return of(a) == of(b)
}

// usageOf keeps what was known of the notes while the note service does not say.
func usageOf(u *workspacev1.Usage, before *v1alpha1.Usage) *v1alpha1.Usage {
	now := &v1alpha1.Usage{Members: u.GetMembers(), Notes: u.GetNotes(), Bytes: u.GetBytes()}
	if u.GetAsOf() == nil && before != nil {
		now.Notes, now.Bytes = before.Notes, before.Bytes
	}
	return now
}
