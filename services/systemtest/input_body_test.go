package systemtest

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// maxBody is what a body may have.
const maxBody = 2 << 20

// TestNoOperationTakesABadBody sends, to every operation that takes one, what no JSON of ours is, and each field of its schema as what it must not be.
func TestNoOperationTakesABadBody(t *testing.T) {
	t.Parallel()
	a := attack(t)
	for _, o := range a.operations {
		if o.body == nil {
			continue
		}
		to := letter{method: o.method, path: o.at(a.ids), header: a.header(o)}
		for what, body := range badJSON(a.bodies[o.id]) {
			a.requireRefusal(o.id+": "+what, a.send(a.ann.Token(), to.inHand(body)), http.StatusBadRequest)
		}
		for what, body := range badFields(o, a.bodies[o.id]) {
			a.requireRefusal(o.id+": "+what, a.send(a.ann.Token(), to.inHand(body)), refusals(o)...)
		}
		for what, body := range foreignFields(o, a.bodies[o.id]) {
			code := a.requireRefusal(o.id+": "+what, a.send(a.ann.Token(), to.inHand(body)), http.StatusBadRequest)
			if code != "unknown-field" {
				t.Errorf("%s: %s is refused as %s", o.id, what, code)
			}
		}
	}
	a.requireUnharmed()
}

// refusals are the statuses by which a field may be refused: what is to prove something is just as wrong when it is too long or missing.
func refusals(o operation) []int {
	switch o.id {
	case "login":
		return []int{http.StatusBadRequest, http.StatusUnauthorized}
	case "register", "updateMe":
		return []int{http.StatusBadRequest, http.StatusForbidden}
	}
	return []int{http.StatusBadRequest}
}

// badJSON is what good becomes in the hands of a careless or a clever writer.
func badJSON(good object) map[string]string {
	text, first := good.String(), good[0].name
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	deeper := strings.Repeat(fmt.Sprintf(`{%q:`, first), 10_000) + `1` + strings.Repeat(`}`, 10_000)
	bad := map[string]string{
		"empty": "", "spaces": " \n ", "null": "null", "a list": "[]", "a text": `"x"`, "a number": "1", "NaN": "NaN", "-0": "-0", "1e400": "1e400",
		"half":                    text[:len(text)-1],
		"two values":              text + text,
		"a list of it":            "[" + text + "]",
		"a byte order mark":       "\xef\xbb\xbf" + text,
		"UTF-16":                  "\xff\xfe" + strings.Join(strings.Split(text, ""), "\x00"),
		"a comment":               "/**/" + text,
		"a comma too many":        text[:len(text)-1] + ",}",
		"single quotes":           strings.ReplaceAll(text, `"`, `'`),
		"a key without quotes":    strings.Replace(text, `"`+first+`"`, first, 1),
		"10,000 lists":            deep,
		"10,000 lists in a field": good.with(first, deep),
		"10,000 objects":          deeper,
		"10,000 objects, open":    strings.Repeat(`{"a":`, 10_000),
		"a key twice":             "{" + text[1:len(text)-1] + "," + text[1:],
		"a key twice, escaped":    fmt.Sprintf(`{"\u%04x%s":"x",`, first[0], first[1:]) + text[1:],
		"NUL between":             "{\x00" + text[1:],
	}
	return bad
}

// badFields breaks each field of the schema in every way that its type has, and leaves each that is required out.
func badFields(o operation, good object) map[string]string {
	bad := map[string]string{}
	for name, s := range o.body.Properties {
		for what, raw := range badValues(s) {
			bad[name+" as "+what] = good.with(name, raw)
		}
		bad[strings.ToUpper(name)+" for "+name] = good.without(name).with(strings.ToUpper(name), `"x"`)
	}
	for _, name := range o.body.Required {
		bad["without "+name] = good.without(name).String()
	}
	return bad
}

func badValues(s *schema) map[string]string {
	bad := map[string]string{
		"null": "null", "NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity", "an object": "{}", "an operator": `{"$ne":""}`, "true": "true",
		"-0": "-0", "1": "1", "1e400": "1e400", "a huge number": strings.Repeat("9", 400), "a list of lists": "[[]]", "a hex number": "0x1f", "+1": "+1",
	}
	switch s.is() {
	case "string":
		bad["a list"] = `["a"]`
		for what, raw := range badTexts() {
			bad[what] = raw
		}
		if s.MaxLength != nil {
			bad["a text that is too long"] = `"` + strings.Repeat("x", *s.MaxLength+1) + `"`
		}
		if s.MinLength != nil {
			bad["a text that is too short"] = `"` + strings.Repeat("x", *s.MinLength-1) + `"`
		}
		if len(s.Enum) > 0 {
			bad["another word"], bad["a word in capitals"] = `"owner"`, `"`+strings.ToUpper(s.Enum[0])+`"`
		}
	case "array":
		bad["a text"], bad["a list of numbers"], bad["a list with null"] = `"a"`, `["a",1]`, `["a",null]`
		for what, raw := range badTexts() {
			bad["a list with "+what] = "[" + raw + "]"
		}
		if s.MaxItems != nil {
			bad["a list that is too long"] = "[" + strings.TrimSuffix(strings.Repeat(`"t",`, *s.MaxItems+1), ",") + "]"
		}
		if s.Items.MaxLength != nil {
			bad["a list with a long text"] = `["` + strings.Repeat("x", *s.Items.MaxLength+1) + `"]`
		}
		if s.Items.MinLength != nil {
			bad["a list with an empty text"] = `[""]`
		}
	default:
		bad["a text"] = `"x"`
	}
	return bad
}

// badTexts are not text, or hold what none of ours may.
func badTexts() map[string]string {
	return map[string]string{
		"invalid UTF-8": "\"a\xffb\"", "overlong UTF-8": "\"a\xc0\xafb\"", "a surrogate in UTF-8": "\"a\xed\xa0\x80b\"", "cut off UTF-8": "\"a\xe2\x82\"",
		"a lone surrogate": `"a\ud800b"`, "surrogates the wrong way round": `"\udc00\ud800"`, "NUL": `"a\u0000b"`, "NUL as it is": "\"a\x00b\"",
		"a line as it is": "\"a\nb\"", "an unknown escape": `"\x41"`, "no end": `"a`,
	}
}

// foreignFields are not the caller's to set: what the answer has and the body has not, and what attackers try.
func foreignFields(o operation, good object) map[string]string {
	names := []string{
		"id", "owner", "ownerId", "workspaceId", "workspace_id", "version", "createdAt", "updatedAt", "role", "admin", "active", "passwordHash", "password_hash",
		"emailVerified", "wid", "sub", "__proto__", "constructor", "$where", "", "unknown",
	}
	if o.answer != nil {
		for name := range o.answer.Properties {
			names = append(names, name)
		}
	}
	foreign := map[string]string{}
	for _, name := range names {
		if o.body.Properties[name] != nil {
			continue
		}
		for _, raw := range []string{`"owner"`, `true`, `{"id":"x"}`} {
			foreign[fmt.Sprintf("%q set to %s", name, raw)] = good.with(name, raw)
		}
	}
	return foreign
}

func TestNoOperationTakesABodyThatIsTooLargeOrPackedOrOfAnotherKind(t *testing.T) {
	t.Parallel()
	a := attack(t)
	bomb := packed(t, maxBody*40)
	for _, o := range a.operations {
		if o.body == nil {
			continue
		}
		to := letter{method: o.method, path: o.at(a.ids), header: a.header(o)}
		text := a.bodies[o.id].String()
		over := strings.Repeat(" ", maxBody+1-len(text)) + text
		for what, l := range map[string]letter{
			"a byte over the limit":           to.inHand(over).with("Expect", "100-continue"),
			"a byte over the limit, chunked":  to.inPieces(strings.NewReader(over)),
			"a byte over the limit, in front": to.inPieces(io.MultiReader(strings.NewReader(text), strings.NewReader(strings.Repeat(" ", maxBody+1-len(text))))),
		} {
			a.requireRefusal(o.id+": "+what, a.send(a.ann.Token(), l), http.StatusRequestEntityTooLarge)
		}
		a.requireCutOff(o.id+": 100 MB, chunked", to)
		for encoding, body := range bomb {
			got := a.send(a.ann.Token(), to.inHand(body).with("Content-Encoding", encoding))
			a.requireRefusal(o.id+": packed by "+encoding, got, http.StatusUnsupportedMediaType)
		}
		for _, kind := range []string{
			"", "text/plain", "text/html", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "application/ld+json",
			"application/merge-patch+json", "application/json; charset=utf-16", "application/json; charset=latin1", "application/json, text/plain", "json", ";", "*/*",
		} {
			got := a.send(a.ann.Token(), to.inHand(text).with("Content-Type", kind))
			a.requireRefusal(o.id+": as "+kind, got, http.StatusUnsupportedMediaType)
		}
		got := a.send(a.ann.Token(), to.inHand(text).with("Content-Type", "application/json", "application/json"))
		a.requireRefusal(o.id+": as JSON twice", got, http.StatusUnsupportedMediaType)
	}
	a.requireUnharmed()
	login := letter{method: http.MethodPost, path: "/api/v1/auth/login"}
	text := a.bodies["login"].String()
	if got := a.send("", login.inHand(strings.Repeat(" ", maxBody-len(text))+text)); got.status != http.StatusOK {
		t.Errorf("a body of exactly the limit: %d %s", got.status, got.text)
	}
}

// with is l with a header set to these values.
func (l letter) with(name string, values ...string) letter {
	h := http.Header{}
	for k, v := range l.header {
		h[k] = slices.Clone(v)
	}
	h[http.CanonicalHeaderKey(name)] = values
	l.header = h
	return l
}

// packed are bodies that unpack to size bytes of spaces.
func packed(t *testing.T, size int) map[string]string {
	t.Helper()
	var zipped, deflated bytes.Buffer
	z := gzip.NewWriter(&zipped)
	d, err := flate.NewWriter(&deflated, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{z, d} {
		for range size >> 10 {
			if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<10)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"gzip": zipped.String(), "GZIP": zipped.String(), "x-gzip": zipped.String(), "deflate": deflated.String(), "br": "x", "identity, gzip": zipped.String()}
}

// requireCutOff sends 100 MB and wants most of it not to be taken: by an answer, or by the end of the connection in the middle of the sending.
func (a *attacked) requireCutOff(what string, to letter) {
	a.t.Helper()
	body := &spaces{left: 100 << 20}
	got, err := a.try(a.ann.Token(), to.inPieces(body))
	if err == nil {
		a.requireRefusal(what, got, http.StatusRequestEntityTooLarge)
	}
	if left := body.unread(); left < 50<<20 {
		a.t.Errorf("%s: only %d bytes were not taken", what, left)
	}
}
