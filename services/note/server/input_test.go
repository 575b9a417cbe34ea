package server_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestBodies(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	n := ann.writes("Plan", "text", "tag")
	ann.shares(n.Id, bob, "editor")
	before := w.fingerprint()

	long := strings.Repeat("x", 1<<20)
	tags := strings.TrimSuffix(strings.Repeat(`"t",`, 33), ",")
	var bomb bytes.Buffer
	packed := gzip.NewWriter(&bomb)
	_, _ = packed.Write([]byte(`{"title":"` + long + `"}`))
	_ = packed.Close()

	cases := []struct {
		name, body string
		status     int
		code       string
	}{
		{"empty", "", 400, "invalid-json"},
		{"spaces", "  ", 400, "invalid-json"},
		{"no object", `[]`, 400, "invalid-json"},
		{"null", `null`, 400, "invalid-json"},
		{"two values", `{} {}`, 400, "invalid-json"},
		{"half", `{"title":"x`, 400, "invalid-json"},
		{"deep", `{"title":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, 400, "invalid-json"},
		{"a key twice", `{"title":"a","title":"b"}`, 400, "invalid-json"},
		{"unknown field", `{"titel":"a"}`, 400, "unknown-field"},
		{"another case", `{"Title":"a"}`, 400, "unknown-field"},
		{"title of the wrong type", `{"title":1}`, 400, "invalid-json"},
		{"body of the wrong type", `{"body":["a"]}`, 400, "invalid-json"},
		{"tags of the wrong type", `{"tags":"a"}`, 400, "invalid-json"},
		{"a tag of the wrong type", `{"tags":["a",1]}`, 400, "invalid-json"},
		{"null title", `{"title":null}`, 400, "invalid-json"},
		{"NaN", `{"title":NaN}`, 400, "invalid-json"},
		{"huge number", `{"title":1e999}`, 400, "invalid-json"},
		{"invalid UTF-8", "{\"title\":\"\xff\"}", 400, "invalid-json"},
		{"a lone surrogate", `{"title":"\ud800"}`, 400, "invalid-json"},
		{"NUL in a title", `{"title":"a\u0000b"}`, 400, "invalid-json"},
		{"NUL in a body", `{"body":"a\u0000b"}`, 400, "invalid-json"},
		{"a control character in a title", `{"title":"a\u0007b"}`, 400, "control-character"},
		{"a line in a title", `{"title":"a\nb"}`, 400, "control-character"},
		{"BOM", "\xef\xbb\xbf{}", 400, "invalid-json"},
		{"title too long", `{"title":"` + strings.Repeat("ä", 301) + `"}`, 400, "title-too-long"},
		{"body too long", `{"body":"` + long + `x"}`, 400, "body-too-long"},
		{"too many tags", `{"tags":[` + tags + `]}`, 400, "too-many-tags"},
		{"an empty tag", `{"tags":["a"," "]}`, 400, "empty-tag"},
		{"a long tag", `{"tags":["` + strings.Repeat("ä", 65) + `"]}`, 400, "tag-too-long"},
		{"a control character in a tag", `{"tags":["a\u0001b"]}`, 400, "control-character"},
		{"request too large", `{"body":"` + long + long + `"}`, 413, "body-too-large"},
	}
	for _, field := range []string{"owner", "ownerId", "workspaceId", "version", "createdAt", "updatedAt", "role", "admin", "id", "pinned", "trashedAt"} {
		cases = append(cases, struct {
			name, body string
			status     int
			code       string
		}{"mass assignment of " + field, `{"title":"a","` + field + `":"x"}`, 400, "unknown-field"})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ann.in(t).do("POST", notes, c.body).problem(c.status, c.code)
			ann.in(t).do("PATCH", notes+"/"+n.Id, c.body, ifMatch(1)).problem(c.status, c.code)
		})
	}
	t.Run("chunked without end", func(t *testing.T) {
		a := ann.in(t).do("POST", notes, io.LimitReader(endless{}, 100<<20))
		a.problem(http.StatusRequestEntityTooLarge, "body-too-large")
	})
	t.Run("a share", func(t *testing.T) {
		path := notes + "/" + n.Id + "/shares/" + bob.id
		for body, code := range map[string]string{
			`{}`: "invalid-role", `{"role":"owner"}`: "invalid-role", `{"role":"Editor"}`: "invalid-role", `{"role":3}`: "invalid-json",
			`{"role":"viewer","admin":true}`: "unknown-field", `{"role":null}`: "invalid-json",
		} {
			ann.in(t).do("PUT", path, body).problem(http.StatusBadRequest, code)
		}
	})
	t.Run("content types", func(t *testing.T) {
		p := ann.in(t)
		for _, kind := range []string{"text/plain", "application/xml", "application/json; charset=latin1", "application/x-www-form-urlencoded", ""} {
			p.sendAs(kind, "", `{"title":"a"}`).problem(http.StatusUnsupportedMediaType, "unsupported-media-type")
		}
		p.sendAs("application/json", "gzip", bomb.String()).problem(http.StatusUnsupportedMediaType, "unsupported-encoding")
	})
	if after := w.fingerprint(); after != before {
		t.Error("something changed")
	}
	if strings.Contains(w.logs.String(), `"level":"ERROR"`) {
		t.Errorf("bad input is no error of ours:\n%s", w.logs)
	}
}

func TestLimitsThemselvesAreAllowed(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	var tags []string
	for i := range 32 {
		tags = append(tags, fmt.Sprintf("%02d", i)+strings.Repeat("ä", 62))
	}
	n := ann.writes(strings.Repeat("ä", 300), strings.Repeat("x", 1<<20), tags...)
	if got := ann.reads(n.Id); len(got.Body) != 1<<20 || len(got.Tags) != 32 {
		t.Fatalf("%d bytes and %d tags came back", len(got.Body), len(got.Tags))
	}
	ann.do("POST", notes, `{}`).want(http.StatusCreated)
	ann.do("POST", notes, `{"body":"a\r\n\tb"}`).want(http.StatusCreated)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (p *person) sendAs(kind, encoding, body string) answer {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), "POST", "http://"+p.w.srv.HTTPAddr()+notes, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return answer{p.t, "POST as " + kind, res.StatusCode, res.Header, text}
}

func TestIdsAndPaths(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("Plan", "")
	for _, id := range []string{
		newID(), strings.ToUpper(n.Id), "{" + n.Id + "}", "urn:uuid:" + n.Id, strings.ReplaceAll(n.Id, "-", ""), "1", "null", "%00", n.Id + "%00",
		"..", "%2e%2e", "%2e%2e%2f" + n.Id, n.Id + "%20", "%27%20or%201=1--", "00000000-0000-0000-0000-000000000000", strings.Repeat("x", 8<<10), "%ff",
	} {
		for _, o := range operations(t) {
			if !strings.Contains(o.path, "{id}") {
				continue
			}
			if a := ann.do(o.method, o.at(id, ann.id), o.body(), ifMatch(1)); a.status != http.StatusNotFound {
				t.Errorf("%s %q: %d %s", o.method, o.at(id, ann.id)[:min(90, len(o.at(id, ann.id)))], a.status, a.body)
			}
		}
	}
	for _, who := range []string{"1", strings.ToUpper(ann.id), "%00", newID()} {
		ann.do("PUT", notes+"/"+n.Id+"/shares/"+who, map[string]any{"role": "viewer"}).problem(http.StatusNotFound, "person-not-found")
	}
	for _, version := range []string{"0", "-1", "x", "1.5", "99999999999", "%00", "01", "+1", "%2B1"} {
		ann.do("GET", notes+"/"+n.Id+"/revisions/"+version, nil).problem(http.StatusBadRequest, "invalid-version")
	}
	for _, path := range []string{"/", "/api", "/api/v1/notes/", "/api/v2/notes", notes + "/" + n.Id + "/", notes + "/" + n.Id + "/unknown"} {
		ann.do("GET", path, nil).problem(http.StatusNotFound, "not-found")
	}
	for _, method := range []string{"PUT", "TRACE", "OPTIONS", "LINK"} {
		ann.do(method, notes, nil).problem(http.StatusMethodNotAllowed, "method-not-allowed")
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, bob := w.person("Ann"), w.person("Bob")
	for range 3 {
		ann.writes("Plan", "", "t")
	}
	bob.writes("Plan", "")
	cursor := *ann.lists("?limit=1").NextCursor
	foreign := ann.lists("?limit=1&tag=t").NextCursor
	flipped := []byte(cursor)
	flipped[7] ^= 1
	cases := []struct{ query, code string }{
		{"?limit=0", "invalid-limit"}, {"?limit=-1", "invalid-limit"}, {"?limit=1000000000", "invalid-limit"}, {"?limit=101", "invalid-limit"},
		{"?limit=x", "invalid-limit"}, {"?limit=", "invalid-limit"}, {"?limit=99999999999999999999", "invalid-limit"},
		{"?limit=1&limit=2", "repeated-parameter"}, {"?q=a&q=b", "repeated-parameter"}, {"?view=all&view=all", "repeated-parameter"},
		{"?view=everything", "invalid-view"}, {"?view=ALL", "invalid-view"},
		{"?q=" + strings.Repeat("x", 201), "invalid-q"}, {"?tag=" + strings.Repeat("x", 65), "invalid-tag"}, {"?tag=%01", "invalid-tag"},
		{"?q=%00", "invalid-query"}, {"?q=%ff", "invalid-query"}, {"?q=%zz", "invalid-query"}, {"?q=a;b", "invalid-query"},
		{"?cursor=", "invalid-cursor"}, {"?cursor=x", "invalid-cursor"}, {"?cursor=" + cursor[:20], "invalid-cursor"},
		{"?cursor=" + string(flipped), "invalid-cursor"}, {"?cursor=" + cursor + "AA", "invalid-cursor"}, {"?cursor=" + *foreign, "invalid-cursor"},
		{"?view=mine&cursor=" + cursor, "invalid-cursor"}, {"?q=plan&cursor=" + cursor, "invalid-cursor"},
	}
	for _, c := range cases {
		t.Run(c.query[:min(40, len(c.query))], func(t *testing.T) {
			ann.in(t).do("GET", notes+c.query, nil).problem(http.StatusBadRequest, c.code)
		})
	}
	bob.do("GET", notes+"?cursor="+cursor, nil).problem(http.StatusBadRequest, "invalid-cursor")
	ann.do("GET", notes+"?limit=100&cursor="+cursor+"&unknown=1", nil).want(http.StatusOK)
	ann.do("GET", notes+"?q=&tag=", nil).want(http.StatusOK)
}

// Whoever reads the sources can make up a cursor: it pages through what its maker may see, and fails at nothing.
func TestCursorsThatAreMadeUp(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("Plan", "")
	for what, c := range map[string]struct {
		rank    float32
		at      int64
		version int32
	}{
		"before all time": {at: math.MinInt64}, "after all time": {at: math.MaxInt64}, "long before": {at: -1e18}, "a moment before 1970": {at: -1}, "long after": {at: 9.2e18}, "the year 10,000": {at: 253402300800e6},
		"a rank that is no number": {rank: float32(math.NaN())}, "an endless rank": {rank: float32(math.Inf(-1))}, "a version below": {version: -1},
	} {
		for _, list := range []struct{ path, name string }{
			{notes + "?", "notes\x00" + w.workspace + "\x00" + ann.id + "\x00all\x00\x00"},
			{notes + "?q=plan&", "notes\x00" + w.workspace + "\x00" + ann.id + "\x00all\x00\x00plan"},
			{notes + "/" + n.Id + "/shares?", "shares\x00" + w.workspace + "\x00" + ann.id + "\x00" + n.Id},
			{notes + "/" + n.Id + "/revisions?", "revisions\x00" + w.workspace + "\x00" + ann.id + "\x00" + n.Id},
		} {
			raw := binary.BigEndian.AppendUint32([]byte{1}, math.Float32bits(c.rank))
			raw = binary.BigEndian.AppendUint64(raw, uint64(c.at))
			raw = binary.BigEndian.AppendUint32(raw, uint32(c.version))
			raw = append(raw, make([]byte, 16)...)
			sum := sha256.Sum256(append([]byte(list.name+"\x00"), raw...))
			a := ann.do("GET", list.path+"cursor="+base64.RawURLEncoding.EncodeToString(append(raw, sum[:8]...)), nil)
			if a.problem(http.StatusBadRequest, "invalid-cursor"); t.Failed() {
				t.Fatalf("%s of %s", what, list.path)
			}
		}
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	n := ann.writes("Plan", "")
	path, change := notes+"/"+n.Id, map[string]any{"title": "x"}
	ann.do("PATCH", path, change).problem(http.StatusPreconditionRequired, "if-match-required")
	for _, condition := range []string{"", "1", `W/"1"`, `*`, `"1", "2"`, `"01"`, `"+1"`, `"-1"`, `"0"`, `"99999999999"`, `"x"`, `"1`} {
		ann.do("PATCH", path, change, header{"If-Match", condition}).problem(http.StatusBadRequest, "invalid-if-match")
	}
	ann.do("PATCH", path, change, ifMatch(1), ifMatch(1)).problem(http.StatusBadRequest, "invalid-if-match")
	ann.do("PATCH", path, change, ifMatch(2)).problem(http.StatusPreconditionFailed, "stale")
	for _, key := range []string{"", strings.Repeat("x", 256), "a\tb", "ä"} {
		ann.do("POST", notes, change, header{"Idempotency-Key", key}).problem(http.StatusBadRequest, "invalid-idempotency-key")
	}
	ann.do("POST", notes, change, header{"Idempotency-Key", "a"}, header{"Idempotency-Key", "b"}).problem(http.StatusBadRequest, "invalid-idempotency-key")
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.person("Ann")
	ann.do("GET", notes, nil, header{"Cookie", strings.Repeat("x", 33<<10)}).problem(http.StatusRequestHeaderFieldsTooLarge, "headers-too-large")
	ann.do("GET", notes, nil, header{"Baggage", strings.Repeat("x", 8<<10)}).want(http.StatusOK)
	ann.do("GET", notes, nil, header{"Traceparent", "00-zz-1-01"}).want(http.StatusOK)
	ann.do("GET", notes, nil, header{"Authorization", "Bearer x"}).problem(http.StatusUnauthorized, "invalid-token")

	nobody := *ann
	for token, code := range map[string]string{
		"":  "invalid-token",
		"x": "invalid-token",
		w.user.token(t, ann.workspace, ann.id, time.Now().Add(-time.Hour)): "token-expired",
		w.user.token(t, ann.workspace, ann.id, time.Now().Add(time.Hour)):  "invalid-token",
		w.user.token(t, ann.workspace, "ann", time.Now()):                  "invalid-token",
	} {
		nobody.token = token
		for _, o := range operations(t) {
			nobody.do(o.method, o.at(newID(), newID()), o.body()).problem(http.StatusUnauthorized, code)
		}
	}
}
