package argon2id

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Params are what a hash costs. Memory is in KiB.
type Params struct {
	Time, Memory uint32
	Threads      uint8
}

// What a stored hash may ask for at most: a row is not trusted with the process's memory.
const (
	maxTime   = 16
	maxMemory = 256 * 1024
)

var errFormat = errors.New("stored password is not an argon2id hash in PHC format")

type hash struct {
	Params
	salt, key []byte
}

// String is the PHC format: $argon2id$v=19$m=19456,t=2,p=1$salt$key.
func (h hash) String() string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.Memory, h.Time, h.Threads,
		enc.EncodeToString(h.salt), enc.EncodeToString(h.key))
}

func parse(s string) (hash, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return hash{}, errFormat
	}
	var h hash
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.Memory, &h.Time, &h.Threads); err != nil {
		return hash{}, fmt.Errorf("%w: %w", errFormat, err)
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return hash{}, fmt.Errorf("%w: %w", errFormat, err)
	}
	if h.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return hash{}, fmt.Errorf("%w: %w", errFormat, err)
	}
	if !h.sane() {
		return hash{}, errFormat
	}
	return h, nil
}

func (h hash) sane() bool {
	return h.Time >= 1 && h.Time <= maxTime && h.Threads >= 1 && h.Memory >= 8*uint32(h.Threads) && h.Memory <= maxMemory &&
		len(h.salt) >= 8 && len(h.key) == keySize
}
