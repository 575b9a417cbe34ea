package session_test

import (
	"encoding/base64"
	"testing"
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/session"
)

const id = "0190a5b4-0000-7000-8000-00000000000a"

func lifetimes() session.Lifetimes {
	return session.Lifetimes{Absolute: 30 * 24 * time.Hour, Idle: 14 * 24 * time.Hour}
}

func start(t *testing.T, at time.Time) (session.Session, session.Token) {
	t.Helper()
	s, token, err := session.New(id, person.Person{ID: "p", Workspace: "w"}, at, lifetimes())
	if err != nil {
		t.Fatal(err)
	}
	return s, token
}

func refresh(t *testing.T, s *session.Session, token session.Token, at time.Time) session.Token {
	t.Helper()
	next, facts, err := s.Refresh(token, at, lifetimes())
	if err != nil || facts != nil {
		t.Fatalf("refresh: %v, %v", facts, err)
	}
	return next
}

func requireEnded(t *testing.T, s session.Session, token session.Token, at time.Time) {
	t.Helper()
	before := s.Generation
	next, facts, err := s.Refresh(token, at, lifetimes())
	if errs.CodeOf(err) != "session-ended" || facts != nil || next != (session.Token{}) || s.Generation != before {
		t.Fatalf("Refresh = %v, %v, %v; want session-ended and nothing changed", next, facts, err)
	}
}

func requireTheft(t *testing.T, s session.Session, token session.Token, at time.Time) {
	t.Helper()
	next, facts, err := s.Refresh(token, at, lifetimes())
	if err != nil || next != (session.Token{}) || len(facts) != 1 {
		t.Fatalf("Refresh = %v, %v, %v; want the session's end", next, facts, err)
	}
	ended, ok := facts[0].(person.SessionsEnded)
	if !ok || ended.Reason != person.ReusedToken || len(ended.Sessions) != 1 || ended.Sessions[0] != id {
		t.Fatalf("fact %+v, want the end of this session", facts[0])
	}
}

func TestATokenSurvivesItsText(t *testing.T) {
	t.Parallel()
	_, token := start(t, time.Now())
	back, ok := session.ParseToken(token.String())
	if !ok || back != token || back.Session != id {
		t.Fatalf("parsed %+v, %v", back, ok)
	}
}

func TestEachRefreshGivesAnotherToken(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, token := start(t, now)
	seen := map[string]bool{token.String(): true}
	for range 50 {
		now = now.Add(time.Minute)
		token = refresh(t, &s, token, now)
		if seen[token.String()] {
			t.Fatal("a token came twice")
		}
		seen[token.String()] = true
	}
	if len(s.Recent) > 16 {
		t.Errorf("%d times kept, want a bounded number", len(s.Recent))
	}
}

func TestTwoTabsGetTheSameSuccessor(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, token := start(t, now)
	first := refresh(t, &s, token, now)
	second := refresh(t, &s, token, now.Add(session.Grace))
	if first != second {
		t.Fatal("the second tab got another token")
	}
	if s.Generation != 1 {
		t.Fatalf("generation %d after one rotation", s.Generation)
	}
}

func TestATabThatIsTwoRotationsBehindGetsTheCurrentToken(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, token := start(t, now)
	second := refresh(t, &s, token, now)
	third := refresh(t, &s, second, now.Add(5*time.Second))
	if got := refresh(t, &s, token, now.Add(10*time.Second)); got != third {
		t.Fatal("the late tab did not get the current token")
	}
}

func TestATokenThatComesBackLateEndsTheSession(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, stolen := start(t, now)
	token := refresh(t, &s, stolen, now)
	requireTheft(t, s, stolen, now.Add(session.Grace+time.Millisecond))
	for range 40 { // far beyond what the session remembers by time
		now = now.Add(time.Minute)
		token = refresh(t, &s, token, now)
	}
	requireTheft(t, s, stolen, now)
}

func TestInventedTokensEndNothing(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, token := start(t, now)
	other, foreign := start(t, now) // the same id, another secret
	refresh(t, &s, token, now)
	requireEnded(t, s, foreign, now.Add(time.Hour))
	for range 3 {
		foreign = refresh(t, &other, foreign, now)
	}
	requireEnded(t, s, foreign, now) // of a generation that is yet to come
	raw, err := base64.RawURLEncoding.DecodeString(token.String())
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		forged := append([]byte(nil), raw...)
		forged[i] ^= 1
		if parsed, ok := session.ParseToken(base64.RawURLEncoding.EncodeToString(forged)); ok {
			requireEnded(t, s, parsed, now.Add(time.Hour))
		}
	}
}

func TestWhatIsNoTokenIsNotParsed(t *testing.T) {
	t.Parallel()
	_, token := start(t, time.Now())
	text := token.String()
	for _, s := range []string{"", "x", text[:len(text)-1], text + "A", text + "=", " " + text, "*" + text[1:], "eyJhbGciOiJFZERTQSJ9.e30.AAAA"} {
		if _, ok := session.ParseToken(s); ok {
			t.Errorf("%q was parsed", s)
		}
	}
}

func TestSessionsEndByThemselves(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, token := start(t, now)
	requireEnded(t, s, token, now.Add(lifetimes().Idle))
	for range 3 { // used each week, it lives to its absolute end and no longer
		now = now.Add(7 * 24 * time.Hour)
		token = refresh(t, &s, token, now)
	}
	requireEnded(t, s, token, s.ExpiresAt)
	refresh(t, &s, token, s.ExpiresAt.Add(-time.Second))
}
