package rest

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"noteworks.dev/services/note/internal/note"
)

// FuzzNoteCursor: a cursor has one spelling, and leads to where a note can be. The sum is put right, so that what is below it is reached.
func FuzzNoteCursor(f *testing.F) {
	l := list{"notes", note.Actor{Person: "p", Workspace: "w"}, []string{"all"}}
	f.Add([]byte{}, *l.cursor(&note.Place{ID: "0190a5b4-0000-7000-8000-000000000001", Version: 3}))
	f.Add(make([]byte, cursorBody-1), "AA==")
	f.Fuzz(func(t *testing.T, body []byte, text string) {
		raw := append([]byte{cursorVersion}, body...)
		for _, text := range []string{text, base64.RawURLEncoding.EncodeToString(append(raw, l.sum(raw)...))} {
			p, err := l.place(text)
			if err != nil {
				continue
			}
			if !somewhere(*p) || !canonical(p.ID) {
				t.Fatalf("%q leads to %+v", text, p)
			}
			if again := *l.cursor(p); again != text {
				t.Fatalf("%q was taken, and is %q", text, again)
			}
		}
	})
}

// FuzzCondition: an ETag of ours has one spelling, a key that is kept is visible ASCII, and an id is the canonical one.
func FuzzCondition(f *testing.F) {
	for _, seed := range []string{`"3"`, `W/"3"`, `"03"`, `"+3"`, `*`, ``, `"99999999999"`, `"3`, "\"3\x00\"", `"3", "4"`, "key", "ä", "0190a5b4-0000-7000-8000-000000000001"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if version, err := base(&text); err == nil && (version == nil || *version < 1 || etag(*version) != text) {
			t.Fatalf("If-Match %q is taken", text)
		}
		if key, err := keyOf(&text); err == nil && (key != text || len(key) > maxKey || key == "" || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })) {
			t.Fatalf("Idempotency-Key %q is taken as %q", text, key)
		}
		if id, err := noteID(text); err == nil && (string(id) != text || len(text) != 36) {
			t.Fatalf("%q is taken as the id %q", text, id)
		}
		if names(text, `"3"`) && !names(text+`,"4"`, `"3"`) {
			t.Fatalf("If-None-Match %q names a tag only without another", text)
		}
		if err := checkQuery(text); err == nil {
			if values, err := url.ParseQuery(text); err != nil || len(values[""]) > 1 {
				t.Fatalf("the query %q is taken", text)
			}
		}
	})
}
