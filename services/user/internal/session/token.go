package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
)

const (
	keySize   = 32
	sealSize  = 16
	idSize    = 16
	tokenSize = idSize + 4 + keySize + sealSize
)

// Token is a refresh token: of which session, which generation of it, the key that proves it, and a seal by which a token of ours
// is known long after its key was forgotten. Of the key only the SHA-256 is ever stored.
type Token struct {
	Session    ID
	Generation uint32
	key        [keySize]byte
	seal       [sealSize]byte
}

// String is what the cookie carries.
func (t Token) String() string {
	raw := make([]byte, 0, tokenSize)
	raw = append(raw, t.Session.bytes()...)
	raw = binary.BigEndian.AppendUint32(raw, t.Generation)
	raw = append(raw, t.key[:]...)
	raw = append(raw, t.seal[:]...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ParseToken is the inverse of String. It tells nothing about whether the token is one of ours.
func ParseToken(s string) (Token, bool) {
	if len(s) != base64.RawURLEncoding.EncodedLen(tokenSize) {
		return Token{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != tokenSize {
		return Token{}, false
	}
	t := Token{Session: idOf(raw[:idSize]), Generation: binary.BigEndian.Uint32(raw[idSize:])}
	copy(t.key[:], raw[idSize+4:])
	copy(t.seal[:], raw[idSize+4+keySize:])
	return t, true
}

// hash is what is stored of t.
func (t Token) hash() []byte {
	sum := sha256.Sum256(t.key[:])
	return sum[:]
}

// successor derives the next token of the session. Whoever has secret but no token can not: so a copy of the database signs nobody in.
func (t Token) successor(secret []byte) Token {
	next := Token{Session: t.Session, Generation: t.Generation + 1}
	copy(next.key[:], mac(secret, "next", t.key[:]))
	return next.sealed(secret)
}

func (t Token) sealed(secret []byte) Token {
	copy(t.seal[:], t.sum(secret))
	return t
}

// genuine reports whether a session with this secret gave t out, now or ever.
func (t Token) genuine(secret []byte) bool {
	return hmac.Equal(t.seal[:], t.sum(secret)[:sealSize])
}

func (t Token) sum(secret []byte) []byte {
	return mac(secret, "seal", t.Session.bytes(), binary.BigEndian.AppendUint32(nil, t.Generation), t.key[:])
}

func mac(secret []byte, purpose string, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(purpose)) // a hash never fails
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// bytes is the UUID's 16 bytes.
func (id ID) bytes() []byte {
	digits := make([]byte, 0, 2*idSize)
	for _, c := range []byte(id) {
		if c != '-' {
			digits = append(digits, c)
		}
	}
	raw := make([]byte, idSize)
	if len(digits) == 2*idSize {
		_, _ = hex.Decode(raw, digits) // ids are our own UUIDs; another text is no session's
	}
	return raw
}

func idOf(raw []byte) ID {
	h := hex.EncodeToString(raw)
	return ID(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}
