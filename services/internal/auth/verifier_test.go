package auth_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/errs"
)

const (
	person    = "01900000-0000-7000-8000-000000000001"
	workspace = "01900000-0000-7000-8000-000000000002"
	session   = "01900000-0000-7000-8000-000000000003"
	kid       = "key-1"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// keys is a KeySource that counts.
type keys struct {
	mu    sync.Mutex
	known map[string]ed25519.PublicKey
	asked int
	err   error
}

func (k *keys) Key(_ context.Context, id string) (ed25519.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if k.err != nil {
		return nil, k.err
	}
	if key, ok := k.known[id]; ok {
		return key, nil
	}
	return nil, auth.ErrUnknownKey
}

type world struct {
	clock    *clock
	keys     *keys
	private  ed25519.PrivateKey
	verifier *auth.Verifier
}

func newWorld(t testing.TB) *world {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{clock: newClock(), private: private, keys: &keys{known: map[string]ed25519.PublicKey{kid: public}}}
	w.verifier = auth.NewVerifier(w.keys, w.clock.now)
	return w
}

// claims is a good token's payload, changed by change.
func (w *world) claims(t testing.TB, change map[string]any) jwt.MapClaims {
	t.Helper()
	raw, err := json.Marshal(auth.NewClaims(person, workspace, session, w.clock.now()))
	if err != nil {
		t.Fatal(err)
	}
	all := jwt.MapClaims{}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for name, value := range change {
		if value == nil {
			delete(all, name)
			continue
		}
		all[name] = value
	}
	return all
}

// token signs claims with header members added.
func (w *world) token(t testing.TB, claims jwt.Claims, header map[string]any) string {
	t.Helper()
	return sign(t, jwt.SigningMethodEdDSA, w.private, claims, header)
}

func sign(t testing.TB, method jwt.SigningMethod, key any, claims jwt.Claims, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = kid
	maps.Copy(token.Header, header)
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAGoodTokenNamesItsActor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.verifier.Verify(t.Context(), w.token(t, w.claims(t, nil), nil))
	want := auth.Actor{PersonID: person, WorkspaceID: workspace, SessionID: session, Expires: w.clock.now().Add(auth.Lifetime)}
	if err != nil || !got.Expires.Equal(want.Expires) || got.PersonID != want.PersonID || got.WorkspaceID != want.WorkspaceID || got.SessionID != want.SessionID {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestForgedAndMalformedTokensAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.token(t, w.claims(t, nil), nil)
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := []byte(w.keys.known[kid])
	b64 := base64.RawURLEncoding.EncodeToString
	now := w.clock.now().Unix()

	tests := map[string]string{
		"empty":                      "",
		"no JWT":                     "hello",
		"two parts":                  head + "." + payload,
		"four parts":                 good + ".x",
		"a space in it":              head + " ." + rest,
		"truncated":                  good[:len(good)-4],
		"another payload":            head + "." + b64([]byte(`{"sub":"`+session+`"}`)) + "." + signature,
		"padding":                    good + "==",
		"alg none":                   sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, w.claims(t, nil), nil),
		"alg none, signed":           b64([]byte(`{"alg":"none","typ":"JWT","kid":"key-1"}`)) + "." + payload + "." + signature,
		"HS256 with the public key":  sign(t, jwt.SigningMethodHS256, public, w.claims(t, nil), nil),
		"alg in lower case":          b64([]byte(`{"alg":"eddsa","kid":"key-1"}`)) + "." + payload + "." + signature,
		"another's key":              sign(t, jwt.SigningMethodEdDSA, stranger, w.claims(t, nil), nil),
		"another's key by jku":       sign(t, jwt.SigningMethodEdDSA, stranger, w.claims(t, nil), map[string]any{"jku": "https://evil.test/jwks.json"}),
		"another's key by jwk":       sign(t, jwt.SigningMethodEdDSA, stranger, w.claims(t, nil), map[string]any{"jwk": map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(stranger[32:])}}),
		"another's key by x5u":       sign(t, jwt.SigningMethodEdDSA, stranger, w.claims(t, nil), map[string]any{"x5u": "https://evil.test/x"}),
		"kid unknown":                w.token(t, w.claims(t, nil), map[string]any{"kid": "key-2"}),
		"kid missing":                w.token(t, w.claims(t, nil), map[string]any{"kid": ""}),
		"kid a path":                 w.token(t, w.claims(t, nil), map[string]any{"kid": "../../dev/null"}),
		"kid SQL":                    w.token(t, w.claims(t, nil), map[string]any{"kid": "' OR 1=1 --"}),
		"kid a number":               w.token(t, w.claims(t, nil), map[string]any{"kid": 1}),
		"kid endless":                w.token(t, w.claims(t, nil), map[string]any{"kid": strings.Repeat("k", 65)}),
		"aud of another":             w.token(t, w.claims(t, map[string]any{"aud": "noteworks-rpc"}), nil),
		"aud missing":                w.token(t, w.claims(t, map[string]any{"aud": nil}), nil),
		"iss of another":             w.token(t, w.claims(t, map[string]any{"iss": "https://evil.test"}), nil),
		"iss missing":                w.token(t, w.claims(t, map[string]any{"iss": nil}), nil),
		"wid missing":                w.token(t, w.claims(t, map[string]any{"wid": nil}), nil),
		"wid no UUID":                w.token(t, w.claims(t, map[string]any{"wid": "default"}), nil),
		"wid nil UUID":               w.token(t, w.claims(t, map[string]any{"wid": "00000000-0000-0000-0000-000000000000"}), nil),
		"wid in another spelling":    w.token(t, w.claims(t, map[string]any{"wid": strings.ToUpper("0190000a-0000-7000-8000-000000000002")}), nil),
		"wid a list":                 w.token(t, w.claims(t, map[string]any{"wid": []string{workspace}}), nil),
		"sub in braces":              w.token(t, w.claims(t, map[string]any{"sub": "{" + person + "}"}), nil),
		"sid missing: no access one": w.token(t, w.claims(t, map[string]any{"sid": nil}), nil),
		"not yet valid":              w.token(t, w.claims(t, map[string]any{"nbf": now + 60}), nil),
		"issued in the future":       w.token(t, w.claims(t, map[string]any{"iat": now + 60}), nil),
		"nbf missing":                w.token(t, w.claims(t, map[string]any{"nbf": nil}), nil),
		"exp missing":                w.token(t, w.claims(t, map[string]any{"exp": nil}), nil),
		"exp a text":                 w.token(t, w.claims(t, map[string]any{"exp": "never"}), nil),
		"over 4 kB":                  w.token(t, w.claims(t, map[string]any{"x": strings.Repeat("x", 4096)}), nil),
	}
	for name, token := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := w.verifier.Verify(t.Context(), token)
			if errs.KindOf(err) != errs.KindUnauthenticated || errs.CodeOf(err) != "invalid-token" || a != (auth.Actor{}) {
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
}

func TestTimeAndLeeway(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		moved time.Duration
		code  string
	}{
		{"now", 0, ""},
		{"issued by a clock 4 s ahead", -4 * time.Second, ""},
		{"issued by a clock 10 s ahead", -10 * time.Second, "invalid-token"},
		{"just before its end", auth.Lifetime - time.Second, ""},
		{"just after it", auth.Lifetime + 4*time.Second, ""},
		{"after it", auth.Lifetime + 6*time.Second, "token-expired"},
		{"a day later", 24 * time.Hour, "token-expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			token := w.token(t, w.claims(t, nil), nil)
			w.clock.move(tt.moved)
			_, err := w.verifier.Verify(t.Context(), token)
			if got := code(err); got != tt.code {
				t.Errorf("got %q (%v), want %q", got, err, tt.code)
			}
		})
	}
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return errs.CodeOf(err)
}

func TestAVerifiedTokenIsRememberedUntilItExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(t, w.claims(t, nil), nil)
	for range 3 {
		if _, err := w.verifier.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if w.keys.asked != 1 {
		t.Errorf("the key was asked for %d times", w.keys.asked)
	}
	w.clock.move(-time.Hour)
	if _, err := w.verifier.Verify(t.Context(), token); errs.KindOf(err) != errs.KindUnauthenticated {
		t.Errorf("a clock that went back: the token is not valid yet, got %v", err)
	}
	w.clock.move(time.Hour + auth.Lifetime + auth.Leeway + time.Second)
	if _, err := w.verifier.Verify(t.Context(), token); code(err) != "token-expired" {
		t.Errorf("remembered past its end: %v", err)
	}
}

func TestAKeySourceThatIsAwayIsNotTheCallersFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.keys.err = errs.Unavailable("sign-in-unavailable", "").WithRetryAfter(time.Second)
	if _, err := w.verifier.Verify(t.Context(), w.token(t, w.claims(t, nil), nil)); errs.KindOf(err) != errs.KindUnavailable {
		t.Errorf("got %v", err)
	}
	w.keys.err = context.Canceled
	if _, err := w.verifier.Verify(t.Context(), w.token(t, w.claims(t, nil), nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAuthenticateTakesOneBearerTokenAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.token(t, w.claims(t, nil), nil)
	tests := []struct {
		name   string
		header http.Header
		code   string
	}{
		{"a bearer token", http.Header{"Authorization": {"Bearer " + good}}, ""},
		{"in lower case", http.Header{"Authorization": {"bearer " + good}}, ""},
		{"nothing", http.Header{}, "unauthenticated"},
		{"an identity header", http.Header{"X-User-Id": {person}, "X-Workspace-Id": {workspace}, "Baggage": {"user=" + person}}, "unauthenticated"},
		{"two headers", http.Header{"Authorization": {"Bearer " + good, "Bearer " + good}}, "invalid-token"},
		{"basic", http.Header{"Authorization": {"Basic " + good}}, "invalid-token"},
		{"no token", http.Header{"Authorization": {"Bearer "}}, "invalid-token"},
		{"no scheme", http.Header{"Authorization": {good}}, "invalid-token"},
		{"two spaces", http.Header{"Authorization": {"Bearer  " + good}}, "invalid-token"},
		{"a cookie", http.Header{"Cookie": {"access_token=" + good}}, "unauthenticated"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?access_token="+good, nil)
			r.Header = tt.header
			ctx, err := w.verifier.Authenticate(r)
			if got := code(err); got != tt.code {
				t.Errorf("got %q, want %q", got, tt.code)
			}
			if a, ok := auth.From(ctx); ok != (tt.code == "") || ok && a.PersonID != person {
				t.Errorf("actor: %+v, %v", a, ok)
			}
		})
	}
}

func BenchmarkVerifyRemembered(b *testing.B) {
	w := newWorld(b)
	token := w.token(b, w.claims(b, nil), nil)
	for b.Loop() {
		if _, err := w.verifier.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyFirstTime(b *testing.B) {
	w := newWorld(b)
	token := w.token(b, w.claims(b, nil), nil)
	for b.Loop() {
		if _, err := auth.NewVerifier(w.keys, w.clock.now).Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
