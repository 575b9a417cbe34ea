package person

import (
	"context"
	_ "embed" // the list of common passwords
	"log/slog"
	"strings"
	"sync"
	"unicode/utf8"

	"noteworks.dev/services/internal/errs"
)

const (
	minPassword      = 10 // characters
	maxPassword      = 128
	maxPasswordBytes = 1024
)

// PasswordHash is a password as stored. It hides itself from logs.
type PasswordHash string

// String hides the hash.
func (PasswordHash) String() string { return "(hidden)" }

// LogValue hides the hash from slog.
func (PasswordHash) LogValue() slog.Value { return slog.StringValue("(hidden)") }

// Hasher turns passwords into hashes and back into yes or no. Both wait for their turn and answer errs.Unavailable when too many wait.
type Hasher interface {
	Hash(ctx context.Context, password string) (PasswordHash, error)
	// Verify reports whether password made hash, and whether hash should be made again because the parameters have grown.
	// It does the same work for the zero hash, which no password made.
	Verify(ctx context.Context, hash PasswordHash, password string) (ok, outdated bool, err error)
}

//go:embed common_passwords.txt
var commonPasswords string

//nolint:gochecknoglobals // a constant in all but name: read from the binary once, never changed
var commonPassword = sync.OnceValue(func() map[string]struct{} {
	lines := strings.Split(commonPasswords, "\n")
	set := make(map[string]struct{}, len(lines))
	for _, line := range lines {
		set[line] = struct{}{}
	}
	return set
})

// CheckPassword says why password is not good enough for the person of this address and name, in the field it came by.
// Every character counts, spaces too; nothing is trimmed.
func CheckPassword(field, password string, email Email, name Name) error {
	characters := utf8.RuneCountInString(password)
	switch {
	case len(password) > maxPasswordBytes || characters > maxPassword:
		return errs.Invalid("password-too-long", "A password has at most %d characters.", maxPassword).WithField(field)
	case characters < minPassword:
		return errs.Invalid("password-too-short", "A password has at least %d characters.", minPassword).WithField(field)
	case guessable(password, email, name):
		return errs.Invalid("password-too-common", "This password is among the first that anyone would try.").WithField(field)
	}
	return nil
}

func guessable(password string, email Email, name Name) bool {
	folded := strings.ToLower(strings.TrimSpace(password))
	if _, common := commonPassword()[folded]; common {
		return true
	}
	return folded == string(email) || folded == strings.ToLower(string(name))
}
