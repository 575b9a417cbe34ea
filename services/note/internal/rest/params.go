package rest

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"noteworks.dev/services/api/gen/rest/noterest"
	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/note/internal/note"
)

const (
	defaultLimit = 50
	maxLimit     = 100
	maxQuery     = 200 // characters to search for
	maxKey       = 255
)

func checkQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return oddQuery().WithCause(err)
	}
	for name, values := range query {
		switch {
		case len(values) > 1:
			return errs.Invalid("repeated-parameter", "A parameter is given more than once.").WithField(printable(name))
		case !utf8.ValidString(values[0]) || strings.ContainsRune(values[0], 0):
			return oddQuery().WithField(printable(name))
		}
	}
	return nil
}

func oddQuery() *errs.Error {
	return errs.Invalid("invalid-query", "The query of the address cannot be read.")
}

// printable is a stranger's name for a parameter, if it is fit to be repeated.
func printable(name string) string {
	if len(name) > 32 || strings.ContainsFunc(name, func(r rune) bool { return r < '!' || r > '~' }) {
		return ""
	}
	return name
}

// noteID takes the canonical spelling only: every other is the id of nothing.
func noteID(id string) (note.ID, error) {
	if !canonical(id) {
		return "", note.ErrNotFound()
	}
	return note.ID(id), nil
}

func personID(id string) (note.PersonID, error) {
	if !canonical(id) {
		return "", note.ErrNoPerson()
	}
	return note.PersonID(id), nil
}

func canonical(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id
}

func limitOf(limit *int) (int, error) {
	switch {
	case limit == nil:
		return defaultLimit, nil
	case *limit < 1 || *limit > maxLimit:
		return 0, errs.Invalid("invalid-limit", "A page holds 1 to %d items.", maxLimit).WithField("limit")
	}
	return *limit, nil
}

func windowOf(cursor *string, limit *int, l list) (w note.Window, err error) {
	if w.Limit, err = limitOf(limit); err != nil {
		return note.Window{}, err
	}
	if cursor != nil {
		w.After, err = l.place(*cursor)
	}
	return w, err
}

// queryOf reads what is to be listed, and which list that is for its cursors.
func queryOf(actor note.Actor, p noterest.ListNotesParams) (note.Query, list, error) {
	var q note.Query
	if p.Q != nil {
		q.Words = *p.Q
	}
	if p.Tag != nil {
		q.Tag = *p.Tag
	}
	if utf8.RuneCountInString(q.Words) > maxQuery {
		return note.Query{}, list{}, errs.Invalid("invalid-q", "A search has at most %d characters.", maxQuery).WithField("q")
	}
	if utf8.RuneCountInString(q.Tag) > note.MaxTag || strings.ContainsFunc(q.Tag, unicode.IsControl) {
		return note.Query{}, list{}, errs.Invalid("invalid-tag", "There can be no such tag.").WithField("tag")
	}
	name := string(noterest.All)
	if p.View != nil {
		name = string(*p.View)
	}
	view, known := viewNamed(name)
	if !known {
		return note.Query{}, list{}, errs.Invalid("invalid-view", "A view is all, mine, shared, pinned, archived or trash.").WithField("view")
	}
	q.View = view
	l := list{"notes", actor, []string{name, note.TagKey(q.Tag), q.Words}}
	var err error
	q.Window, err = windowOf(p.Cursor, p.Limit, l)
	return q, l, err
}

func viewNamed(name string) (note.View, bool) {
	switch noterest.ListNotesParamsView(name) {
	case noterest.All:
		return note.ViewAll, true
	case noterest.Mine:
		return note.ViewMine, true
	case noterest.Shared:
		return note.ViewShared, true
	case noterest.Pinned:
		return note.ViewPinned, true
	case noterest.Archived:
		return note.ViewArchived, true
	case noterest.Trash:
		return note.ViewTrash, true
	}
	return 0, false
}

// keyOf is an Idempotency-Key fit to be kept, "" for none.
func keyOf(header *string) (string, error) {
	if header == nil {
		return "", nil
	}
	visible := !strings.ContainsFunc(*header, func(r rune) bool { return r < ' ' || r > '~' })
	if *header == "" || len(*header) > maxKey || !visible {
		return "", errs.Invalid("invalid-idempotency-key", "The key has 1 to %d visible characters.", maxKey).WithField("Idempotency-Key")
	}
	return *header, nil
}

// base is the version that If-Match names; nil without one. An ETag of ours is a version in quotes, and nothing else is.
func base(ifMatch *string) (*int32, error) {
	if ifMatch == nil {
		return nil, nil //nolint:nilnil // no condition is an answer of its own
	}
	wrong := errs.Invalid("invalid-if-match", "If-Match should be one ETag of the note, such as \"3\".").WithField("If-Match")
	text, opened := strings.CutPrefix(*ifMatch, `"`)
	text, closed := strings.CutSuffix(text, `"`)
	version, err := strconv.ParseInt(text, 10, 32)
	if !opened || !closed || err != nil || version < 1 || etag(int32(version)) != *ifMatch {
		return nil, wrong
	}
	v := int32(version)
	return &v, nil
}

// requiredBase is base for changes that must not be blind.
func requiredBase(ifMatch *string) (int32, error) {
	version, err := base(ifMatch)
	if err != nil {
		return 0, err
	}
	if version == nil {
		return 0, errs.PreconditionRequired("if-match-required", "Send If-Match with the ETag of the version you changed.")
	}
	return *version, nil
}

func etag(version int32) string { return `"` + strconv.Itoa(int(version)) + `"` }

// unchanged tells whether the caller has the note as it is now. The ETag tells the version only, the date also marks and roles; when both come,
// both must agree.
func unchanged(p noterest.GetNoteParams, version int32, modified time.Time) bool {
	if p.IfNoneMatch == nil || !names(*p.IfNoneMatch, etag(version)) {
		return false
	}
	if p.IfModifiedSince == nil {
		return true
	}
	since, err := http.ParseTime(*p.IfModifiedSince)
	return err == nil && !modified.Truncate(time.Second).After(since)
}

// names is the weak comparison of RFC 9110 with a list of tags.
func names(list, tag string) bool {
	for candidate := range strings.SplitSeq(list, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == tag || candidate == "*" {
			return true
		}
	}
	return false
}
