package admission

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
)

const codeSize = 24 // bytes of chance: 192 bits, 32 characters

// Code is what an invited person shows. Whoever has it may join with the address it is for, so it hides itself from logs.
type Code string

// NoCode is none.
const NoCode Code = ""

// String hides the code.
func (Code) String() string { return "(hidden)" }

// LogValue hides the code from slog.
func (Code) LogValue() slog.Value { return slog.StringValue("(hidden)") }

// ParseCode takes what somebody typed or pasted. Whether it is of an invitation, only the store knows.
func ParseCode(s string) Code { return Code(strings.TrimSpace(s)) }

func newCode() (Code, error) {
	var chance [codeSize]byte
	if _, err := rand.Read(chance[:]); err != nil {
		return NoCode, fmt.Errorf("invitation code: %w", err)
	}
	return Code(base64.RawURLEncoding.EncodeToString(chance[:])), nil
}

// Hash is what is stored. The code is random, so that its hash needs no salt and no slowness.
func (c Code) Hash() []byte {
	sum := sha256.Sum256([]byte(c))
	return sum[:]
}
