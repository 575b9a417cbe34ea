package embeddedpg

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// closed is a place that nobody else can walk into, like /root.
func closed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDataInAClosedPlaceIsMovedBehindALink(t *testing.T) {
	t.Parallel()
	asked := filepath.Join(closed(t), "data")
	acc := account{uid: 65533, gid: 65533, switched: true}
	state := reachable(t)
	mv := mover{stateDir: state, log: slog.New(slog.DiscardHandler)}

	first, err := settle(asked, acc, mv)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(first) != state {
		t.Fatalf("the data is in %s, which its account cannot reach", first)
	}
	if again, err := settle(asked, acc, mv); err != nil || again != first {
		t.Fatalf("the second time it is %s (%v), want %s", again, err, first)
	}

	// Somebody removes what they asked for, and starts anew: the old data must neither come back nor be lost.
	if err := os.WriteFile(filepath.Join(first, "old"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(asked); err != nil {
		t.Fatal(err)
	}
	fresh, err := settle(asked, acc, mv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(fresh, "old")); err == nil {
		t.Error("data whose directory was removed came back")
	}
	kept, err := filepath.Glob(filepath.Join(state, "*.old-*", "old"))
	if err != nil || len(kept) != 1 {
		t.Errorf("the old data is gone: %v, %v", kept, err)
	}
}

func TestDataThatIsThereButOutOfReachIsNotAbandoned(t *testing.T) {
	t.Parallel()
	asked := filepath.Join(closed(t), "data")
	if err := os.MkdirAll(filepath.Join(asked, "something"), 0o700); err != nil {
		t.Fatal(err)
	}
	mv := mover{stateDir: reachable(t), log: slog.New(slog.DiscardHandler)}
	_, err := settle(asked, account{uid: 65533, gid: 65533, switched: true}, mv)
	if err == nil || !strings.Contains(err.Error(), "cannot reach") {
		t.Fatalf("error %v, want one that says that the account cannot reach the data", err)
	}
}

// reachable is a directory everybody can walk to, as /var/lib/noteworks is.
func reachable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "noteworks-state-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
