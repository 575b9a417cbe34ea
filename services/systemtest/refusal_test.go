package systemtest

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
)

// leaks is what no answer may tell: our insides, in the words of Go, of its libraries and of SQL.
var leaks = regexp.MustCompile(`(?i)goroutine \d|panic|\.go:\d|runtime error|sqlstate|pgx|postgres|gorm|relation "|\bselect\b.+\bfrom\b|insert into|` +
	`rest\.[A-Z]|json:|strconv|reflect|\bgin\b|unmarshal|oapi|nil pointer|/home/|/root/|127\.0\.0\.1|jwt|ed25519`)

// insides is the same for callers of ours, who may know what the messages are written in.
var insides = regexp.MustCompile(`(?i)goroutine \d|panic|\.go:\d|runtime error|sqlstate|pgx|postgres|gorm|relation "|insert into|nil pointer|/home/|/root/`)

// requireRefusal wants a problem with one of the statuses, and with nothing in it that is not the caller's business.
func (a *attacked) requireRefusal(what string, got answered, statuses ...int) (code string) {
	a.t.Helper()
	var p struct {
		Type, Title, Code, TraceID string
		Status                     int
	}
	err := json.Unmarshal([]byte(got.text), &p)
	switch {
	case !slices.Contains(statuses, got.status):
		a.t.Errorf("%s: answered %d, not %v: %.300s", what, got.status, statuses, got.text)
	case err != nil || got.header.Get("Content-Type") != "application/problem+json":
		a.t.Errorf("%s: answered with no problem but with %q: %.300s", what, got.header.Get("Content-Type"), got.text)
	case p.Status != got.status || p.Type == "" || p.Title == "":
		a.t.Errorf("%s: a problem of status %d says %s", what, got.status, got.text)
	case !a.documented[p.Code]:
		a.t.Errorf("%s: docs/errors.md does not know the code %q", what, p.Code)
	case !traceID.MatchString(p.TraceID):
		a.t.Errorf("%s: no trace can be found by %q", what, p.TraceID)
	case leaks.MatchString(got.text):
		a.t.Errorf("%s: tells of its insides by %q: %s", what, leaks.FindString(got.text), got.text)
	case got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff":
		a.t.Errorf("%s: a refusal that may be kept or guessed at: %v", what, got.header)
	}
	return p.Code
}

var traceID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// documentedCodes are those of the tables in docs/errors.md that have a status.
func documentedCodes(t *testing.T) map[string]bool {
	t.Helper()
	codes := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| \\d{3} \\| `([a-z-]+)` \\|").FindAllStringSubmatch(page(t, "errors.md"), -1) {
		codes[row[1]] = true
	}
	if len(codes) < 50 {
		t.Fatalf("only %d codes are documented", len(codes))
	}
	return codes
}
