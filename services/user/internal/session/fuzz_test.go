package session

import "testing"

// FuzzRefreshToken: a token has one spelling, and none that is made up is genuine.
func FuzzRefreshToken(f *testing.F) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	good := Token{Session: "0190a5b4-0000-7000-8000-000000000001", Generation: 7}.sealed(secret)
	f.Add(good.String())
	f.Add(good.String()[1:])
	f.Add(good.String() + "=")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, ok := ParseToken(text)
		if !ok {
			return
		}
		if parsed.String() != text {
			t.Fatalf("%q was taken, and is %q", text, parsed)
		}
		if parsed.genuine(secret) && parsed != good {
			t.Fatalf("%q is genuine", text)
		}
	})
}
