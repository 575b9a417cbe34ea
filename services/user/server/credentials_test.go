package server_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/errs"
)

// signingKey is the service's own, as only its database has it.
func (w *world) signingKey() (kid string, key ed25519.PrivateKey) {
	w.t.Helper()
	var seed []byte
	if err := w.db.Superuser.QueryRow(w.t.Context(), "select id, seed from signing_keys order by signs_from limit 1").Scan(&kid, &seed); err != nil {
		w.t.Fatal(err)
	}
	return kid, ed25519.NewKeyFromSeed(seed)
}

type forgery struct {
	method jwt.SigningMethod
	key    any
	header map[string]any
	claims func(*auth.Claims)
	code   string
}

func TestForgedAccessTokensAreRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	acme := w.apply("acme")
	ann, gus := w.signUp("Ann"), w.signUp("Gus")
	kid, own := w.signingKey()
	public, ok := own.Public().(ed25519.PublicKey)
	if !ok {
		t.Fatal("no Ed25519 key")
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	foreignPublic, foreign, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	foreignJWK := map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64.RawURLEncoding.EncodeToString(foreignPublic)}
	now := time.Now()
	date := func(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(now.Add(d)) }
	eddsa := jwt.SigningMethodEdDSA

	for name, f := range map[string]forgery{
		"as it should be":           {eddsa, own, nil, nil, ""},
		"alg none":                  {jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil, "invalid-token"},
		"HS256 with the public key": {jwt.SigningMethodHS256, []byte(public), nil, nil, "invalid-token"},
		"HS256 with its PEM":        {jwt.SigningMethodHS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil, nil, "invalid-token"},
		"HS512 with its base64":     {jwt.SigningMethodHS512, []byte(base64.RawURLEncoding.EncodeToString(public)), nil, nil, "invalid-token"},
		"a foreign key":             {eddsa, foreign, nil, nil, "invalid-token"},
		"a foreign key as jwk":      {eddsa, foreign, map[string]any{"jwk": foreignJWK}, nil, "invalid-token"},
		"a foreign jku":             {eddsa, foreign, map[string]any{"jku": "http://evil.example/jwks.json", "x5u": "http://evil.example/x"}, nil, "invalid-token"},
		"a kid nobody knows":        {eddsa, own, map[string]any{"kid": "nobody"}, nil, "invalid-token"},
		"a kid that is a path":      {eddsa, own, map[string]any{"kid": "../../../../dev/null"}, nil, "invalid-token"},
		"a kid that is SQL":         {eddsa, own, map[string]any{"kid": kid + "' or '1'='1"}, nil, "invalid-token"},
		"a kid that is no text":     {eddsa, own, map[string]any{"kid": []string{kid}}, nil, "invalid-token"},
		"no kid":                    {eddsa, own, map[string]any{"kid": ""}, nil, "invalid-token"},
		"another audience":          {eddsa, own, nil, func(c *auth.Claims) { c.Audience = jwt.ClaimStrings{"others"} }, "invalid-token"},
		"no audience":               {eddsa, own, nil, func(c *auth.Claims) { c.Audience = nil }, "invalid-token"},
		"another issuer":            {eddsa, own, nil, func(c *auth.Claims) { c.Issuer = "others" }, "invalid-token"},
		"expired":                   {eddsa, own, nil, func(c *auth.Claims) { c.ExpiresAt = date(-time.Minute) }, "token-expired"},
		"without an end":            {eddsa, own, nil, func(c *auth.Claims) { c.ExpiresAt = nil }, "invalid-token"},
		"not valid yet":             {eddsa, own, nil, func(c *auth.Claims) { c.NotBefore = date(time.Minute) }, "invalid-token"},
		"issued tomorrow":           {eddsa, own, nil, func(c *auth.Claims) { c.IssuedAt = date(24 * time.Hour) }, "invalid-token"},
		"another workspace":         {eddsa, own, nil, func(c *auth.Claims) { c.WorkspaceID = acme.GetWorkspaceId() }, "session-ended"},
		"no workspace":              {eddsa, own, nil, func(c *auth.Claims) { c.WorkspaceID = "" }, "invalid-token"},
		"a workspace that is SQL":   {eddsa, own, nil, func(c *auth.Claims) { c.WorkspaceID = "' or true --" }, "invalid-token"},
		"another spelling of it":    {eddsa, own, nil, func(c *auth.Claims) { c.WorkspaceID = strings.ToUpper(c.WorkspaceID) }, "invalid-token"},
		"another person":            {eddsa, own, nil, func(c *auth.Claims) { c.Subject = gus.user.ID }, "session-ended"},
		"nobody":                    {eddsa, own, nil, func(c *auth.Claims) { c.Subject = newID(t) }, "session-ended"},
		"another session":           {eddsa, own, nil, func(c *auth.Claims) { c.SessionID = newID(t) }, "session-ended"},
	} {
		claims := w.claimsOf(ann)
		if f.claims != nil {
			f.claims(&claims)
		}
		token := jwt.NewWithClaims(f.method, &claims)
		token.Header["kid"] = kid
		for k, v := range f.header {
			token.Header[k] = v
		}
		text, err := token.SignedString(f.key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		forger := *ann
		forger.token = text
		a := forger.get("/api/v1/me")
		if f.code == "" {
			a.require(t, http.StatusOK)
			continue
		}
		a.what = name
		a.refused(t, http.StatusUnauthorized, f.code)
	}
	w.requireQuiet()
}

// claimsOf are those of a browser's real token.
func (w *world) claimsOf(b *browser) auth.Claims {
	w.t.Helper()
	var claims auth.Claims
	if _, _, err := jwt.NewParser().ParseUnverified(b.token, &claims); err != nil {
		w.t.Fatal(err)
	}
	return claims
}

func TestWhatIsNoAccessTokenIsRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	good, refresh := ann.token, ann.cookie
	parts := strings.Split(good, ".")
	with := func(values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header["Authorization"] = values }
	}
	for name, c := range map[string]struct {
		tweak func(*http.Request)
		code  string
	}{
		"nothing":                 {with(), "unauthenticated"},
		"the refresh token":       {with("Bearer " + refresh), "invalid-token"},
		"another scheme":          {with("Basic " + good), "invalid-token"},
		"no scheme":               {with(good), "invalid-token"},
		"two tokens":              {with("Bearer "+good, "Bearer "+good), "invalid-token"},
		"cut off":                 {with("Bearer " + good[:len(good)-4]), "invalid-token"},
		"without signature":       {with("Bearer " + parts[0] + "." + parts[1] + "."), "invalid-token"},
		"with a padded signature": {with("Bearer " + good + "="), "invalid-token"},
		"with a space":            {with("Bearer  " + good), "invalid-token"},
		"5 kB":                    {with("Bearer " + strings.Repeat("a", 5<<10)), "invalid-token"},
		"in the address":          {func(r *http.Request) { r.Header.Del("Authorization"); r.URL.RawQuery = "access_token=" + good }, "unauthenticated"},
		"as cookie": {func(r *http.Request) {
			r.Header.Del("Authorization")
			r.AddCookie(&http.Cookie{Name: "access_token", Value: good})
		}, "unauthenticated"},
		"headers that name an actor":  {func(r *http.Request) { r.Header.Del("Authorization"); nameActor(r, ann) }, "unauthenticated"},
		"baggage that names an actor": {func(r *http.Request) { r.Header.Del("Authorization"); r.Header.Set("Baggage", "user.id="+ann.user.ID) }, "unauthenticated"},
	} {
		for _, path := range []string{"/api/v1/me", "/api/v1/users?limit=0"} { // who asks comes before what is asked
			a := ann.do(http.MethodGet, path, nil, c.tweak)
			a.what = name
			a.refused(t, http.StatusUnauthorized, c.code)
			if a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: nothing says how to authenticate", name)
			}
		}
	}
}

func nameActor(r *http.Request, b *browser) {
	for _, name := range []string{"X-User-Id", "X-Workspace-Id", "X-Forwarded-User", "X-Remote-User", "X-Person-Id"} {
		r.Header.Set(name, b.user.ID)
	}
}

func TestHeadersChangeNobodysIdentity(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann, owner := w.signUp("Ann"), w.owner("default")
	var me user
	ann.do(http.MethodGet, "/api/v1/me", nil, func(r *http.Request) {
		nameActor(r, owner)
		r.Header.Set("Baggage", "user.id="+owner.user.ID+",role=owner")
		r.Header.Set("X-HTTP-Method-Override", "DELETE")
	}).require(t, http.StatusOK).decode(t, &me)
	if me.ID != ann.user.ID {
		t.Errorf("Ann became %s", me.Name)
	}
}

func TestKeysRotateWithoutASignOut(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	replica := w.start(w.cfg)
	verifier := auth.NewVerifier(auth.NewJWKS("http://"+replica.RPCAddr()+"/.well-known/jwks.json", w.http, w.clock.now), w.clock.now)
	ann := w.signUp("Ann")
	var tokens []string
	keep := func() {
		t.Helper()
		ann.refresh().require(t, http.StatusOK)
		tokens = append(tokens, ann.token)
		for _, token := range tokens {
			if _, err := verifier.Verify(t.Context(), token); err != nil {
				t.Fatalf("another service refuses a token: %v", err)
			}
			for _, addr := range []string{w.server.HTTPAddr(), replica.HTTPAddr()} {
				b := *ann
				b.token, b.addr = token, addr
				b.get("/api/v1/me").require(t, http.StatusOK)
			}
		}
	}
	keep()
	for range 2 {
		if err := w.server.RotateKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		keep()
		w.clock.move(30 * time.Second)
		keep()
	}
	w.clock.move(90 * time.Second) // both have begun to sign by now
	keep()
	used := map[string]bool{}
	for _, token := range tokens {
		parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
		if err != nil {
			t.Fatal(err)
		}
		used[parsed.Header["kid"].(string)] = true
	}
	if len(used) < 2 {
		t.Errorf("%d keys signed, want the new ones to sign, too", len(used))
	}
}

func TestThePublishedKeysArePublic(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.signUp("Ann")
	kid, key := w.signingKey()
	b := w.browser("default")
	b.addr = w.server.RPCAddr()
	a := b.get("/.well-known/jwks.json").require(t, http.StatusOK)
	if !bytes.Contains(a.body, []byte(kid)) {
		t.Errorf("the key %s is not in %s", kid, a.body)
	}
	for _, secret := range [][]byte{key, key.Seed()} {
		for _, text := range []string{base64.RawURLEncoding.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret)} {
			if bytes.Contains(a.body, []byte(text)) {
				t.Fatal("the private key is published")
			}
		}
	}
	var set struct{ Keys []map[string]string }
	a.decode(t, &set)
	for _, k := range set.Keys {
		if k["d"] != "" || k["kty"] != "OKP" || k["crv"] != "Ed25519" {
			t.Errorf("published %v", k)
		}
	}
}

func TestTheDatabaseHoldsNoCredentialAsItIs(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ann := w.signUp("Ann")
	ann.refresh().require(t, http.StatusOK)
	raw, err := base64.RawURLEncoding.DecodeString(ann.cookie)
	if err != nil {
		t.Fatal(err)
	}
	key := raw[20:52]
	sum := sha256.Sum256(key)
	if n := w.db.Count(t, "select count(*) from sessions where token_hash = $1", sum[:]); n != 1 {
		t.Errorf("%d sessions know the token by its hash", n)
	}
	for _, column := range []string{"secret", "token_hash"} {
		if n := w.db.Count(t, "select count(*) from sessions where position($1::bytea in "+column+") > 0", key); n != 0 {
			t.Errorf("the refresh token's key stands in %s", column)
		}
	}
	if n := w.db.Count(t, "select count(*) from people where password_hash not like '$argon2id$v=19$m=19456,t=2,p=1$%'"); n != 0 {
		t.Errorf("%d passwords are stored otherwise", n)
	}
	for _, secret := range []string{password, ann.cookie, ann.token, "ann@example.org"} {
		if strings.Contains(w.logs.String(), secret) {
			t.Errorf("the log holds %.20q", secret)
		}
		if n := w.db.Count(t, "select count(*) from outbox where position($1 in data::text) > 0", secret); n != 0 {
			t.Errorf("an event holds %.20q", secret)
		}
	}
}

func TestAnUnknownKeyIsUnknown(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.signUp("Ann")
	jwks := auth.NewJWKS("http://"+w.server.RPCAddr()+"/.well-known/jwks.json", w.http, w.clock.now)
	if _, err := jwks.Key(context.Background(), "nobody"); err == nil || errs.KindOf(err) == errs.KindUnavailable {
		t.Errorf("Key = %v", err)
	}
}
