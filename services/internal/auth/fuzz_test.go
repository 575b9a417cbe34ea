package auth_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/google/uuid"

	"noteworks.dev/services/internal/auth"
)

// FuzzToken: no text is a token but those that were signed, in their one spelling; and what is signed is taken only if it names a person, a workspace and a
// session by canonical ids, for this audience and this time. The payload is signed, so that what is below the signature is reached.
func FuzzToken(f *testing.F) {
	w := newWorld(f)
	claims, err := json.Marshal(auth.NewClaims(person, workspace, session, w.clock.now()))
	if err != nil {
		f.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	good := w.token(f, auth.NewClaims(person, workspace, session, w.clock.now()), nil)
	f.Add(good, claims)
	f.Add("a.b.c", []byte(`{"sub":"x"}`))
	f.Add("", []byte(`{"exp":1e400,"aud":["noteworks-api","x"]}`))
	f.Add(good+"=", []byte(`{"exp":null,"nbf":"now"}`))
	f.Add("..", []byte(`[]`))
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		if _, err := w.verifier.Verify(t.Context(), text); err == nil && text != good {
			t.Fatalf("%q is taken", text)
		}
		head := encode([]byte(`{"alg":"EdDSA","typ":"JWT","kid":"`+kid+`"}`)) + "." + encode(payload)
		token := head + "." + encode(ed25519.Sign(w.private, []byte(head)))
		actor, err := w.verifier.Verify(t.Context(), token)
		if err != nil {
			return
		}
		for _, id := range []string{actor.PersonID, actor.WorkspaceID, actor.SessionID} {
			if parsed, err := uuid.Parse(id); err != nil || parsed.String() != id || parsed == uuid.Nil {
				t.Fatalf("%s acts as %+v", payload, actor)
			}
		}
		if now := w.clock.now(); !actor.Expires.After(now.Add(-auth.Leeway)) {
			t.Fatalf("%s acts until %v, and it is %v", payload, actor.Expires, now)
		}
	})
}
