package config

import (
	"fmt"
	"log/slog"
)

const hidden = "(hidden)"

// Secret is a value that must not be seen: every way of printing, logging or encoding it shows "(hidden)", or nothing when
// it is empty, so that a missing password is still recognised in a dump. Only Reveal gives it away.
type Secret string

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return fmt.Sprintf("config.Secret(%q)", s.String()) }

// Format hides the value from every verb, %x and %d included.
func (s Secret) Format(f fmt.State, verb rune) {
	if f.Flag('#') && verb == 'v' {
		_, _ = fmt.Fprint(f, s.GoString()) // a fmt.State has nowhere to report to
		return
	}
	_, _ = fmt.Fprint(f, s.String()) // as above
}

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from JSON and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
