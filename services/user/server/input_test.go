package server_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// bodies are what no JSON route may take, whatever the route.
func bodies() map[string]struct{ body, code string } {
	deep := strings.Repeat(`{"email":`, 10_000) + `1` + strings.Repeat(`}`, 10_000)
	return map[string]struct{ body, code string }{
		"empty":             {"", "invalid-json"},
		"spaces":            {"  \n ", "invalid-json"},
		"no object":         {`[]`, "invalid-json"},
		"a text":            {`"x"`, "invalid-json"},
		"null":              {`null`, "invalid-json"},
		"half":              {`{"email":"ann@example.org"`, "invalid-json"},
		"two values":        {`{} {}`, "invalid-json"},
		"10,000 levels":     {deep, "invalid-json"},
		"duplicate keys":    {`{"email":"a@example.org","email":"b@example.org"}`, "invalid-json"},
		"an unknown field":  {`{"admin":true}`, "unknown-field"},
		"a field's case":    {`{"Email":"a@example.org","PASSWORD":"x"}`, "unknown-field"},
		"a number as text":  {`{"email":1}`, "invalid-json"},
		"a list as text":    {`{"email":["a@example.org"]}`, "invalid-json"},
		"an object as text": {`{"email":{"$ne":""}}`, "invalid-json"},
		"a truth as text":   {`{"email":true}`, "invalid-json"},
		"null as text":      {`{"email":null}`, "invalid-json"},
		"NaN":               {`{"email":NaN}`, "invalid-json"},
		"-0":                {`{"email":-0}`, "invalid-json"},
		"a huge number":     {`{"email":1e400}`, "invalid-json"},
		"invalid UTF-8":     {"{\"email\":\"\xff\"}", "invalid-json"},
		"a lone surrogate":  {`{"email":"\ud800"}`, "invalid-json"},
		"NUL":               {`{"email":"a\u0000@example.org"}`, "invalid-json"},
		"a byte order mark": {"\ufeff{}", "invalid-json"},
		"a comment":         {`{/*x*/}`, "invalid-json"},
		"a prototype":       {`{"__proto__":{"role":"owner"}}`, "unknown-field"},
	}
}

func TestOddBodiesAreRefusedAndChangeNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	routes := []struct{ method, path string }{
		{http.MethodPost, "/api/v1/auth/register"}, {http.MethodPost, "/api/v1/auth/login"}, {http.MethodPatch, "/api/v1/me"},
		{http.MethodPost, "/api/v1/invitations"},
	}
	before := w.rowVersions()
	events := w.since(func() {
		for _, route := range routes {
			for name, c := range bodies() {
				body := c.body
				if route.method == http.MethodPatch {
					body = strings.ReplaceAll(body, `"email"`, `"name"`)
				}
				a := ann.do(route.method, route.path, body)
				a.what = name + " to " + a.what
				a.refused(t, http.StatusBadRequest, c.code)
				if bytes.Contains(a.body, []byte("userrest")) || bytes.Contains(a.body, []byte("goroutine")) || bytes.Contains(a.body, []byte("json:")) {
					t.Errorf("%s answers with our insides: %s", a.what, a.body)
				}
			}
		}
	})
	if len(events) != 0 || w.rowVersions() != before {
		t.Errorf("told %q; rows changed: %v", types(events), w.rowVersions() != before)
	}
	w.requireQuiet()
}

func TestOddContentTypesAreRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	b := w.browser("default")
	good := `{"email":"` + ownerEmail("default") + `","password":"` + password + `"}`
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(good)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		body  string
		tweak func(*http.Request)
		code  string
	}{
		"a form":          {good, header("Content-Type", "application/x-www-form-urlencoded"), "unsupported-media-type"},
		"plain text":      {good, header("Content-Type", "text/plain"), "unsupported-media-type"},
		"no type":         {good, func(r *http.Request) { r.Header.Del("Content-Type") }, "unsupported-media-type"},
		"two types":       {good, func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }, "unsupported-media-type"},
		"another charset": {good, header("Content-Type", "application/json; charset=utf-16"), "unsupported-media-type"},
		"multipart":       {good, header("Content-Type", "multipart/form-data; boundary=x"), "unsupported-media-type"},
		"packed":          {packed.String(), header("Content-Encoding", "gzip"), "unsupported-encoding"},
		"packed oddly":    {good, header("Content-Encoding", "br"), "unsupported-encoding"},
	} {
		a := b.do(http.MethodPost, "/api/v1/auth/login", c.body, c.tweak)
		a.what = name
		a.refused(t, http.StatusUnsupportedMediaType, c.code)
	}
	b.do(http.MethodPost, "/api/v1/auth/login", good, header("Content-Type", "application/json; charset=UTF-8")).require(t, http.StatusOK)
}

// endless is so many spaces, and does not say so beforehand.
type endless struct{ left atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	n := min(int64(len(p)), e.left.Load())
	if n <= 0 {
		return 0, io.EOF
	}
	for i := range n {
		p[i] = ' '
	}
	e.left.Add(-n)
	return int(n), nil
}

func TestA100MBChunkedBodyIsCutOff(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	body := &endless{}
	body.left.Store(100 << 20)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.server.HTTPAddr()+"/api/v1/auth/login", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/json")
	res, err := w.http.Do(r)
	if err == nil { // or the connection was closed in the middle of the sending, which is as good
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("answered %d", res.StatusCode)
		}
	}
	if left := body.left.Load(); left < 50<<20 {
		t.Errorf("only %d bytes were left unread", left)
	}
}

func TestFieldsThatAreNotTheCallersToSet(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	before := w.rowVersions()
	for _, field := range []string{
		`"role":"owner"`, `"admin":true`, `"owner":true`, `"id":"` + newID(t) + `"`, `"workspaceId":"` + newID(t) + `"`, `"version":9`, `"active":false`,
		`"createdAt":"2020-01-01T00:00:00Z"`, `"passwordHash":"x"`, `"password_hash":"x"`, `"emailVerified":true`,
	} {
		ann.do(http.MethodPost, "/api/v1/auth/register", `{"email":"eve@example.org","name":"Eve","password":"the owl of minerva",`+field+`}`).refused(t, http.StatusBadRequest, "unknown-field")
		ann.do(http.MethodPost, "/api/v1/auth/login", `{"email":"ann@example.org","password":"the owl of minerva",`+field+`}`).refused(t, http.StatusBadRequest, "unknown-field")
		ann.do(http.MethodPatch, "/api/v1/me", `{"name":"Eve",`+field+`}`).refused(t, http.StatusBadRequest, "unknown-field")
	}
	ann.do(http.MethodPatch, "/api/v1/me", `{"name":"Eve","email":"eve@example.org"}`).refused(t, http.StatusBadRequest, "unknown-field")
	if w.rowVersions() != before {
		t.Error("something changed")
	}
	var me user
	ann.get("/api/v1/me").require(t, http.StatusOK).decode(t, &me)
	if me != ann.user {
		t.Errorf("Ann became %+v", me)
	}
}

func TestOddSignUps(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	b := w.browser("default")
	body := func(email, name, password string) map[string]string {
		return map[string]string{"email": email, "name": name, "password": password}
	}
	for what, c := range map[string]struct {
		body        map[string]string
		code, field string
	}{
		"no address":         {body("ann", "Ann", password), "invalid-email", "email"},
		"a long address":     {body(strings.Repeat("a", 250)+"@example.org", "Ann", password), "invalid-email", "email"},
		"no name":            {body("ann@example.org", "  ", password), "name-missing", "name"},
		"a long name":        {body("ann@example.org", strings.Repeat("a", 101), password), "name-too-long", "name"},
		"a name turned over": {body("ann@example.org", "Ann\u202eevE", password), "invalid-name", "name"},
		"a short password":   {body("ann@example.org", "Ann", "123456789"), "password-too-short", "password"},
		"a password of 1 kB": {body("ann@example.org", "Ann", strings.Repeat("x", 1024)), "password-too-long", "password"},
		"a common password":  {body("ann@example.org", "Ann", "Password123"), "password-too-common", "password"},
		"nothing at all":     {map[string]string{}, "invalid-email", "email"},
	} {
		a := b.post("/api/v1/auth/register", c.body)
		a.what = what
		a.refused(t, http.StatusBadRequest, c.code)
		var p struct{ Field string }
		a.decode(t, &p)
		if p.Field != c.field {
			t.Errorf("%s: blames %q, want %q", what, p.Field, c.field)
		}
	}
	emoji := strings.Repeat("🦉", 64)
	b.post("/api/v1/auth/register", body("owl@example.org", "🦉", emoji)).require(t, http.StatusCreated)
	b.login("owl@example.org", emoji).require(t, http.StatusOK)
	b.post("/api/v1/auth/register", body("OWL@example.org", "Owl", password)).refused(t, http.StatusConflict, "email-taken")
}

func TestOddRequests(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	ann.do(http.MethodTrace, "/api/v1/me", nil).refused(t, http.StatusMethodNotAllowed, "method-not-allowed")
	a := ann.do(http.MethodPut, "/api/v1/me", `{}`).refused(t, http.StatusMethodNotAllowed, "method-not-allowed")
	if !strings.Contains(a.header.Get("Allow"), "PATCH") {
		t.Errorf("Allow is %q", a.header.Get("Allow"))
	}
	ann.do("PROPFIND", "/api/v1/me", nil).refused(t, http.StatusMethodNotAllowed, "method-not-allowed")
	ann.get("/api/v1/users/"+strings.Repeat("a", 8<<10)).refused(t, http.StatusMethodNotAllowed, "method-not-allowed")
	ann.do(http.MethodDelete, "/api/v1/users/"+strings.Repeat("a", 8<<10), nil).refused(t, http.StatusNotFound, "not-found")
	ann.do(http.MethodGet, "/api/v1/me", nil, func(r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "x", Value: strings.Repeat("a", 33<<10)})
	}).require(t, http.StatusRequestHeaderFieldsTooLarge)
	ann.do(http.MethodGet, "/api/v1/me", nil, func(r *http.Request) {
		r.Header.Set("Traceparent", "00-not-a-trace-01")
		r.Header.Set("Baggage", strings.Repeat("a=b,", 2<<10))
	}).require(t, http.StatusOK)
	w.requireQuiet()
}

func TestAClientThatLeavesCancelsItsQuery(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	w.db.Exec(t, "alter table people rename to people_behind; create view people with (security_invoker) as select * from people_behind where pg_sleep(30) is not null;"+
		"grant select on people to public")
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.server.HTTPAddr()+"/api/v1/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+ann.token)
	done := make(chan error, 1)
	go func() {
		_, err := w.http.Do(r)
		done <- err
	}()
	running := func() int {
		return w.db.Count(t, "select count(*) from pg_stat_activity where datname = current_database() and state = 'active' and query like '%people%' and pid <> pg_backend_pid()")
	}
	w.eventually("the query to run", func() bool { return running() > 0 })
	leave()
	if err := <-done; err == nil {
		t.Fatal("an answer came")
	}
	w.within(time.Second, "the query to be gone", func() bool { return running() == 0 })
}
