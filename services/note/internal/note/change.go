package note

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"noteworks.dev/services/internal/errs"
)

// Limits of what a note holds. The API's description names the same ones.
const (
	MaxTitle = 300     // characters
	MaxBody  = 1 << 20 // bytes
	MaxTags  = 32
	MaxTag   = 64 // characters
)

// Draft is what a person writes into a new note.
type Draft struct {
	Title string
	Body  string
	Tags  []string
}

// Edit is what a person wants to change; nil leaves a part as it is.
type Edit struct {
	Title *string
	Body  *string
	Tags  *[]string
}

// Empty reports whether it asks for nothing.
func (e Edit) Empty() bool { return e.Title == nil && e.Body == nil && e.Tags == nil }

// clean checks the limits and puts tags into order.
func (e Edit) clean() (Edit, error) {
	if e.Title != nil {
		if err := checkTitle(*e.Title); err != nil {
			return Edit{}, err
		}
	}
	if e.Body != nil {
		if err := checkBody(*e.Body); err != nil {
			return Edit{}, err
		}
	}
	if e.Tags != nil {
		tags, err := cleanTags(*e.Tags)
		if err != nil {
			return Edit{}, err
		}
		e.Tags = &tags
	}
	return e, nil
}

func (d Draft) clean() (Draft, error) {
	e, err := Edit{Title: &d.Title, Body: &d.Body, Tags: &d.Tags}.clean()
	if err != nil {
		return Draft{}, err
	}
	return Draft{Title: d.Title, Body: d.Body, Tags: *e.Tags}, nil
}

func checkTitle(title string) error {
	switch {
	case !utf8.ValidString(title):
		return errs.Invalid("invalid-text", "The title is not valid text.").WithField("title")
	case utf8.RuneCountInString(title) > MaxTitle:
		return errs.Invalid("title-too-long", "A title has at most %d characters.", MaxTitle).WithField("title")
	case hasControl(title):
		return errs.Invalid("control-character", "A title has no control characters.").WithField("title")
	}
	return nil
}

func checkBody(body string) error {
	switch {
	case len(body) > MaxBody:
		return errs.Invalid("body-too-long", "A body has at most %d bytes.", MaxBody).WithField("body")
	case !utf8.ValidString(body) || strings.ContainsRune(body, 0):
		return errs.Invalid("invalid-text", "The body is not valid text.").WithField("body")
	}
	return nil
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// cleanTags trims them and drops repetitions, which differ in case only; the first spelling and the order stay.
func cleanTags(tags []string) ([]string, error) {
	if len(tags) > MaxTags {
		return nil, errs.Invalid("too-many-tags", "A note has at most %d tags.", MaxTags).WithField("tags")
	}
	kept := make([]string, 0, len(tags))
	seen := make(map[string]bool, len(tags))
	for i, t := range tags {
		t = strings.TrimSpace(t)
		if err := checkTag(t); err != nil {
			return nil, err.WithField(fmt.Sprintf("tags[%d]", i))
		}
		if key := TagKey(t); !seen[key] {
			seen[key] = true
			kept = append(kept, t)
		}
	}
	return kept, nil
}

func checkTag(t string) *errs.Error {
	switch {
	case t == "":
		return errs.Invalid("empty-tag", "A tag is not empty.")
	case !utf8.ValidString(t) || hasControl(t):
		return errs.Invalid("control-character", "A tag has no control characters.")
	case utf8.RuneCountInString(t) > MaxTag:
		return errs.Invalid("tag-too-long", "A tag has at most %d characters.", MaxTag)
	}
	return nil
}

// TagKey is equal for tags that count as the same.
func TagKey(tag string) string { return strings.ToLower(strings.TrimSpace(tag)) }

// change applies e, which is clean, and says what became different: nil if nothing did.
func (s *Sight) change(e Edit, now time.Time) Fact {
	c := Changed{}
	if e.Title != nil && *e.Title != s.Title {
		s.Title, c.Title = *e.Title, e.Title
	}
	if e.Body != nil && *e.Body != s.Body {
		s.Body, c.Body = *e.Body, e.Body
	}
	if e.Tags != nil && !slices.Equal(*e.Tags, s.Tags) {
		s.Tags, c.Tags = *e.Tags, e.Tags
	}
	if c == (Changed{}) {
		return nil
	}
	s.touch(now)
	return c
}

// touch makes the next version. Its time is after the one before, whatever the clock does: lists and validators go by it.
func (s *Sight) touch(now time.Time) {
	if !now.After(s.UpdatedAt) {
		now = s.UpdatedAt.Add(time.Microsecond)
	}
	s.Version++
	s.UpdatedAt, s.UpdatedBy, s.UpdatedByName = now, s.Viewer, s.ViewerName
}
