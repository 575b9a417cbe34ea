package rpc

import (
	"log/slog"
	"os"
	"sync"
	"time"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/telemetry"
)

// readAgain is when a token's file is read although it looks unchanged.
const readAgain = time.Minute

// token is what a client introduces itself with. From a file it is the newest that could be read: kubelet replaces a projected token well before it
// expires.
type token struct {
	file string
	log  *slog.Logger

	mu    sync.Mutex
	known config.Secret
	stamp time.Time // when the file was changed
	read  time.Time
}

func (t *token) now() config.Secret {
	if t.file == "" {
		return t.known
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.file)
	if err == nil && info.ModTime().Equal(t.stamp) && time.Since(t.read) < readAgain {
		return t.known
	}
	if err == nil {
		var fresh config.Secret
		if fresh, err = config.ReadFile(t.file); err == nil && fresh != "" {
			t.known, t.stamp, t.read = fresh, info.ModTime(), time.Now()
		}
	}
	if err != nil && time.Since(t.read) >= readAgain { // until then the one that is known is good
		t.read = time.Now()
		t.log.Warn("the token for calls is unreadable", telemetry.Err(err))
	}
	return t.known
}
