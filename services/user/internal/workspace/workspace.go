// Package workspace is the tenants themselves: applying, asking about and deleting them, and finding one by the host it is reached under.
// Imports the standard library, errs and the packages of people, tenants and admission.
package workspace

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/tenant"
)

const (
	maxSlug  = 63  // a DNS label
	maxTitle = 100 // characters
	// maxAdministrator, in bytes, is more than two Kubernetes names take.
	maxAdministrator = 512
	// DefaultSlug is the workspace of a host that names none.
	DefaultSlug Slug = "default"
	// noSlug leads to no workspace.
	noSlug Slug = ""
)

// Slug is the first label of the workspace's host.
type Slug string

// Workspace is a tenant.
type Workspace struct {
	ID tenant.ID
	// Claim is the id by which its administrator knows it: its own, unless it was adopted.
	Claim tenant.ID
	Slug  Slug
	// Host is one more complete name that leads to it, empty for none.
	Host    string
	Title   string
	Version int32
	// Administrator is whose it is; empty is nobody's.
	Administrator string
	Policy        Policy
	CreatedAt     time.Time
	// ReleasedAt is zero unless its administrator has let go of it.
	ReleasedAt time.Time
	// OwnerID is empty as long as there is no owner; Members counts active people.
	OwnerID person.ID
	Members int32
}

// Applied is the fact of a workspace being new or changed. It carries the whole new state.
type Applied struct {
	ID      tenant.ID
	Slug    Slug
	Host    string
	Title   string
	Version int32
	// Policy is suspended for a workspace that is released, too.
	Policy Policy
}

// Errors that callers tell apart.
var (
	ErrNotFound  = errs.NotFound("workspace-not-found", "There is no such workspace.")
	ErrSlugTaken = errs.Conflict("slug-taken", "Another workspace has this slug.").WithField("slug")
	ErrHostTaken = errs.Conflict("host-taken", "Another workspace has this host.").WithField("host")
	// ErrMoved says that the workspace was made, taken up or deleted while it was being changed.
	ErrMoved = errs.Conflict("workspace-changed", "The workspace was changed at the same time. Please try again.")

	// errStillHeld tells an administrator of a workspace of theirs; others are told ErrSlugTaken, which it is to errors.Is.
	errStillHeld = errs.Conflict("slug-taken", "Another workspace of yours has this slug. It can be taken up again once it is released.").WithField("slug")
	errTakenUp   = errs.Conflict("workspace-adopted", "This workspace goes by another id since it was taken up again.").WithField("workspace_id")
)

// ParseSlug takes a DNS label in lower case that no part of the platform needs for itself.
func ParseSlug(s string) (Slug, error) {
	if !label(s) {
		return "", errs.Invalid("invalid-slug", "A slug is 1 to %d lower-case letters, digits and inner hyphens.", maxSlug).WithField("slug")
	}
	if reserved(s) {
		return "", errs.Invalid("slug-reserved", "%q is reserved.", s).WithField("slug")
	}
	return Slug(s), nil
}

func label(s string) bool {
	if s == "" || len(s) > maxSlug || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// reserved names would be mistaken for a part of the platform; xn-- are international names in disguise.
func reserved(s string) bool {
	switch s {
	case "www", "api", "admin", "app", "auth", "login", "static", "assets", "cdn", "mail", "smtp", "ftp", "ns", "ns1", "ns2",
		"live", "status", "health", "metrics", "internal", "localhost", "noteworks", "operator", "root", "support", "system":
		return true
	}
	return strings.HasPrefix(s, "xn--")
}

// parseTitle trims s and takes the slug when nothing is left.
func parseTitle(s string, slug Slug) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return string(slug), nil
	case utf8.RuneCountInString(s) > maxTitle, !utf8.ValidString(s), strings.ContainsFunc(s, notInTitle):
		return "", errs.Invalid("invalid-title", "A title is one line of at most %d characters.", maxTitle).WithField("title")
	}
	return s, nil
}

func notInTitle(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Zl, unicode.Zp)
}

// parseAdministrator takes any one line of text.
func parseAdministrator(s string) (string, error) {
	if len(s) > maxAdministrator || !utf8.ValidString(s) || strings.ContainsFunc(s, notInTitle) {
		return "", errs.Invalid("invalid-administrator", "An administrator is one line of at most %d bytes.", maxAdministrator).WithField("administrator")
	}
	return s, nil
}

// terms is what a workspace should be, by the rules.
type terms struct {
	claim         tenant.ID
	slug          Slug
	title         string
	host          string
	administrator string
	policy        Policy
}

// yield says whether w is for whoever brings t: for who claims it, and for who takes up what their administrator let go of.
func (w *Workspace) yield(t terms) error {
	switch {
	case w.Claim == t.claim:
		return nil
	case w.Slug != t.slug: // t came by the id that w had before it was adopted
		return errTakenUp
	case t.administrator == "" || t.administrator != w.Administrator:
		return ErrSlugTaken
	case !w.Released():
		return errStillHeld
	}
	return nil
}

// apply makes w match and reports whether anything changed.
func (w *Workspace) apply(t terms) bool {
	if w.Version > 0 && w.matches(t) {
		return false
	}
	w.Claim, w.Slug, w.Title, w.Host, w.Administrator, w.Policy = t.claim, t.slug, t.title, t.host, t.administrator, t.policy
	w.ReleasedAt = time.Time{}
	w.Version++
	return true
}

func (w *Workspace) matches(t terms) bool {
	return !w.Released() && w.Claim == t.claim && w.Slug == t.slug && w.Title == t.title && w.Host == t.host &&
		w.Administrator == t.administrator && w.Policy.same(t.policy)
}

// release lets go of w and reports whether that was anything new.
func (w *Workspace) release(now time.Time) bool {
	if w.Released() {
		return false
	}
	w.ReleasedAt = now
	w.Version++
	return true
}

// Released reports whether w waits for its administrator to take it up again.
func (w *Workspace) Released() bool { return !w.ReleasedAt.IsZero() }

// Suspended reports whether nobody comes in.
func (w *Workspace) Suspended() bool { return w.Policy.Suspended || w.Released() }

func (w *Workspace) applied() *Applied {
	told := w.Policy
	told.Suspended = w.Suspended()
	return &Applied{ID: w.ID, Slug: w.Slug, Host: w.Host, Title: w.Title, Version: w.Version, Policy: told}
}
