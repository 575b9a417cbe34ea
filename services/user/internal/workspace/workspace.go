// Package workspace is the tenants themselves: applying, asking about and deleting them, and finding one by the host it is reached under.
// Imports the standard library, errs and the packages of people and tenants.
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
	// DefaultSlug is the workspace of a host that names none.
	DefaultSlug Slug = "default"
)

// Slug is the first label of the workspace's host.
type Slug string

// Workspace is a tenant.
type Workspace struct {
	ID        tenant.ID
	Slug      Slug
	Title     string
	Version   int32
	CreatedAt time.Time
	// OwnerID is empty as long as there is no owner; Members counts active people.
	OwnerID person.ID
	Members int32
}

// Applied is the fact of a workspace being new or changed. It carries the whole new state.
type Applied struct {
	ID      tenant.ID
	Slug    Slug
	Title   string
	Version int32
}

// Errors that callers tell apart.
var (
	ErrNotFound  = errs.NotFound("workspace-not-found", "There is no such workspace.")
	ErrSlugTaken = errs.Conflict("slug-taken", "Another workspace has this slug.").WithField("slug")
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

// apply makes w match and reports whether anything changed.
func (w *Workspace) apply(slug Slug, title string) bool {
	if w.Version > 0 && w.Slug == slug && w.Title == title {
		return false
	}
	w.Slug, w.Title = slug, title
	w.Version++
	return true
}

func (w *Workspace) applied() *Applied {
	return &Applied{ID: w.ID, Slug: w.Slug, Title: w.Title, Version: w.Version}
}
