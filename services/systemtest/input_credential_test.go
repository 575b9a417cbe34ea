package systemtest

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"noteworks.dev/services/internal/auth"
	"noteworks.dev/test/client"
)

// TestNoOperationTakesABadToken sends each bad credential to each operation that needs one.
func TestNoOperationTakesABadToken(t *testing.T) {
	t.Parallel()
	a := attack(t)
	bad := a.badTokens()
	for _, o := range a.operations {
		if o.by != "accessToken" {
			continue
		}
		for what, values := range bad {
			got := a.send("", a.good(o).with("Authorization", values...))
			a.requireRefusal(o.id+": "+what, got, http.StatusUnauthorized)
			if got.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %s: nothing says how to authenticate", o.id, what)
			}
		}
		elsewhere := a.good(o)
		elsewhere.path += "?access_token=" + a.ann.Token()
		a.requireRefusal(o.id+": the token in the address", a.send("", elsewhere.with("Cookie", "access_token="+a.ann.Token())), http.StatusUnauthorized)
	}
	if got := a.send("", letter{method: http.MethodGet, path: "/api/v1/me"}.with("Authorization", "Bearer "+a.signed(jwt.SigningMethodEdDSA, nil, nil, nil))); got.status != http.StatusOK {
		t.Fatalf("what the bad tokens were made from is not good: %d %s", got.status, got.text)
	}
	a.requireUnharmed()
}

// badTokens are the values of Authorization headers that must let nobody in.
func (a *attacked) badTokens() map[string][]string {
	a.t.Helper()
	kid, own := a.kid, a.key
	public := own.Public().(ed25519.PublicKey) //nolint:forcetypeassert // that is what it is
	der, err := x509.MarshalPKIXPublicKey(public)
	a.must(err)
	foreignPublic, foreign, err := ed25519.GenerateKey(nil)
	a.must(err)
	date := func(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(time.Now().Add(d)) }
	header := func(name string, value any) map[string]any { return map[string]any{name: value} }
	eddsa, good := jwt.SigningMethodEdDSA, a.ann.Token()
	parts := strings.Split(good, ".")
	jwk := map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64.RawURLEncoding.EncodeToString(foreignPublic)}
	bad := map[string][]string{}
	for what, token := range map[string]string{
		"alg none":                   a.signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil),
		"HS256 with the public key":  a.signed(jwt.SigningMethodHS256, []byte(public), nil, nil),
		"HS256 with its PEM":         a.signed(jwt.SigningMethodHS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil, nil),
		"HS512 with its base64":      a.signed(jwt.SigningMethodHS512, []byte(base64.RawURLEncoding.EncodeToString(public)), nil, nil),
		"a foreign key":              a.signed(eddsa, foreign, nil, nil),
		"a foreign key as jwk":       a.signed(eddsa, foreign, header("jwk", jwk), nil),
		"a foreign jku":              a.signed(eddsa, foreign, header("jku", "http://evil.example/jwks.json"), nil),
		"a foreign x5u":              a.signed(eddsa, foreign, header("x5u", "http://evil.example/x"), nil),
		"a kid nobody knows":         a.signed(eddsa, nil, header("kid", "nobody"), nil),
		"a kid that is a path":       a.signed(eddsa, nil, header("kid", "../../../../dev/null"), nil),
		"a kid that is SQL":          a.signed(eddsa, nil, header("kid", kid+"' or '1'='1"), nil),
		"a kid that is no text":      a.signed(eddsa, nil, header("kid", []string{kid}), nil),
		"no kid":                     a.signed(eddsa, nil, header("kid", ""), nil),
		"another audience":           a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.Audience = jwt.ClaimStrings{"noteworks-user"} }),
		"no audience":                a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.Audience = nil }),
		"another issuer":             a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.Issuer = "others" }),
		"no issuer":                  a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.Issuer = "" }),
		"expired":                    a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.ExpiresAt = date(-time.Minute) }),
		"without an end":             a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.ExpiresAt = nil }),
		"not valid yet":              a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.NotBefore = date(time.Hour) }),
		"without a beginning":        a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.NotBefore = nil }),
		"issued tomorrow":            a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.IssuedAt = date(24 * time.Hour) }),
		"another workspace":          a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.WorkspaceID = a.claims(a.mallory.Token()).WorkspaceID }),
		"a workspace there is not":   a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.WorkspaceID = uuid.NewString() }),
		"no workspace":               a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.WorkspaceID = "" }),
		"a workspace that is SQL":    a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.WorkspaceID = "' or true --" }),
		"a workspace of all":         a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.WorkspaceID = ">" }),
		"a person that is everybody": a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.Subject = "*" }),
		"a session that is each":     a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.SessionID = "*" }),
		"a person in capitals":       a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.Subject = strings.ToUpper(c.Subject) }),
		"no person":                  a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.Subject = "" }),
		"no session":                 a.signed(eddsa, nil, nil, func(c *auth.Claims) { c.SessionID = "" }),
		"the refresh token":          a.refreshToken(a.bob),
		"cut off":                    good[:len(good)-4],
		"without signature":          parts[0] + "." + parts[1] + ".",
		"with another's signature":   parts[0] + "." + parts[1] + "." + strings.Split(a.bob.Token(), ".")[2],
		"with another's claims":      parts[0] + "." + strings.Split(a.bob.Token(), ".")[1] + "." + parts[2],
		"with a padded signature":    good + "=",
		"with another spelling":      parts[0] + "." + parts[1] + "." + respelled(parts[2]),
		"in JSON":                    fmt.Sprintf("{%q:%q}", "token", good),
		"with a space before it":     " " + good,
		"with more after it":         good + " x",
		"with a comma after it":      good + ",",
		"in capitals":                strings.ToUpper(good),
		"5 kB":                       strings.Repeat("a", 5<<10),
		"three parts of nothing":     "..",
		"a header that is no object": base64.RawURLEncoding.EncodeToString([]byte("[]")) + "." + parts[1] + "." + parts[2],
	} {
		bad[what] = []string{"Bearer " + token}
	}
	bad["another scheme"], bad["no scheme"], bad["nothing"], bad["a scheme alone"] = []string{"Basic " + good}, []string{good}, []string{""}, []string{"Bearer"}
	bad["two tokens"], bad["two tokens in one"] = []string{"Bearer " + good, "Bearer " + good}, []string{"Bearer " + good + ", Bearer " + good}
	return bad
}

// swapped is another letter than c.
func swapped(c string) string {
	if c == "A" {
		return "B"
	}
	return "A"
}

// respelled is base64 whose last character differs only in the bits that say nothing.
func respelled(base string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, base[len(base)-1])
	return base[:len(base)-1] + string(alphabet[last^1])
}

// signed is ann's token made anew: with her own claims unless they are changed, by the service's own key unless another is given.
func (a *attacked) signed(method jwt.SigningMethod, key any, header map[string]any, change func(*auth.Claims)) string {
	a.t.Helper()
	if key == nil {
		key = a.key
	}
	claims := a.claims(a.ann.Token())
	if change != nil {
		change(&claims)
	}
	token := jwt.NewWithClaims(method, &claims)
	token.Header["kid"] = a.kid
	for name, value := range header {
		token.Header[name] = value
	}
	text, err := token.SignedString(key)
	a.must(err)
	return text
}

func (a *attacked) claims(token string) auth.Claims {
	a.t.Helper()
	var claims auth.Claims
	_, _, err := jwt.NewParser().ParseUnverified(token, &claims)
	a.must(err)
	return claims
}

// signingKey is the user service's own, as only its database has it.
func (a *attacked) signingKey() (kid string, key ed25519.PrivateKey) {
	a.t.Helper()
	db, err := pgx.Connect(a.t.Context(), a.settings.of["user"]["DATABASE_URL"])
	a.must(err)
	defer func() { _ = db.Close(a.t.Context()) }()
	var seed []byte
	a.must(db.QueryRow(a.t.Context(), "select id, seed from signing_keys order by signs_from limit 1").Scan(&kid, &seed))
	return kid, ed25519.NewKeyFromSeed(seed)
}

// refreshToken is what somebody's browser keeps, of a session that is made for this.
func (a *attacked) refreshToken(c *client.Client) string {
	a.t.Helper()
	body := fmt.Sprintf(`{"email":%q,"password":%q}`, c.User().Email, password)
	got := a.send("", letter{method: http.MethodPost, path: "/api/v1/auth/login"}.inHand(body))
	cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	a.must(err)
	return cookie.Value
}

// TestNoOperationTakesABadRefreshCookie sends what is no refresh token, or not this one.
func TestNoOperationTakesABadRefreshCookie(t *testing.T) {
	t.Parallel()
	a := attack(t)
	good := a.refreshToken(a.bob)
	renew := letter{method: http.MethodPost, path: "/api/v1/auth/refresh"}
	leave := letter{method: http.MethodPost, path: "/api/v1/auth/logout"}
	for what, cookie := range map[string]string{
		"none": "", "nothing": "nw_refresh=", "a word": "nw_refresh=x", "the access token": "nw_refresh=" + a.bob.Token(), "cut off": "nw_refresh=" + good[:len(good)-2],
		"changed": "nw_refresh=" + good[:40] + swapped(good[40:41]) + good[41:], "of zeros": "nw_refresh=" + strings.Repeat("A", len(good)), "padded": "nw_refresh=" + good + "=", "two": "nw_refresh=" + good + "; nw_refresh=x",
		"another name": "NW_REFRESH=" + good, "SQL": "nw_refresh=x' or '1'='1", "8 kB": "nw_refresh=" + strings.Repeat("A", 8<<10), "no UTF-8": "nw_refresh=\xff",
	} {
		a.requireRefusal("refresh: "+what, a.send("", renew.with("Cookie", cookie)), http.StatusUnauthorized)
		if got := a.send("", leave.with("Cookie", cookie)); got.status != http.StatusNoContent {
			t.Errorf("logout: %s: answered %d, though there is nothing to leave: %s", what, got.status, got.text)
		}
	}
	own := "nw_refresh=" + good
	a.requireRefusal("refresh: at the other workspace", a.send("", a.at("other.localhost", renew).with("Cookie", own)), http.StatusUnauthorized)
	for what, origin := range map[string][]string{"foreign": {"https://evil.example"}, "two": {a.stack.URL(), a.stack.URL()}, "null": {"null"}, "other": {a.otherURL()}} {
		for _, l := range []letter{renew, leave} {
			a.requireRefusal(l.path+": an origin that is "+what, a.send("", l.with("Cookie", own).with("Origin", origin...)), http.StatusForbidden)
		}
	}
	if got := a.send("", renew.with("Cookie", own)); got.status != http.StatusOK {
		t.Errorf("after all that the good cookie is answered %d %s", got.status, got.text)
	}
	a.requireUnharmed()
}
