package server

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/go-logr/logr"
)

func TestWhatTheLibraryExpectsItselfIsNoError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err     string
		message string
		want    string
	}{
		{`events "acme.1" is forbidden: because it is being terminated`, "Server rejected event (will not retry!)", "WARN"},
		{"leader election lost", "error received after stop sequence was engaged", "WARN"},
		{"the cache is gone", "error received after stop sequence was engaged", "ERROR"},
		{"leader election lost", "problem running manager", "ERROR"},
	} {
		var out strings.Builder
		logr.FromSlogHandler(newLog(&out, slog.LevelInfo).Handler()).WithName("events").Error(errors.New(c.err), c.message)
		if !strings.Contains(out.String(), `"level":"`+c.want+`"`) {
			t.Errorf("%s: %s is told as %s", c.message, c.err, out.String())
		}
	}
}
