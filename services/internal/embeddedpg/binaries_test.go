package embeddedpg

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// fakePackage looks like the npm package before its links are made.
func fakePackage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"package.json":             `{"version": "18.0.0"}`,
		"native/pg-symlinks.json":  `[{"source": "native/lib/libpq.so.5.18", "target": "native/lib/libpq.so.5"}]`,
		"native/lib/libpq.so.5.18": "library",
		"native/bin/postgres":      "program",
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLibrariesAreLinkedByManyAtOnce(t *testing.T) {
	t.Parallel()
	dir := fakePackage(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := linkLibraries(dir); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	text, err := os.ReadFile(filepath.Join(dir, "native", "lib", "libpq.so.5"))
	if err != nil || string(text) != "library" {
		t.Errorf("the link leads to %q (%v)", text, err)
	}
}

func TestBinariesAreCopiedOnceByManyAtOnce(t *testing.T) {
	t.Parallel()
	dir, state := fakePackage(t), reachable(t)
	if err := linkLibraries(dir); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			copied, err := copyPackage(dir, state)
			if err != nil {
				t.Error(err)
				return
			}
			text, err := os.ReadFile(filepath.Join(copied, "native", "lib", "libpq.so.5"))
			if err != nil || string(text) != "library" {
				t.Errorf("the copy holds %q (%v)", text, err)
			}
		})
	}
	all.Wait()
	entries, err := os.ReadDir(state)
	if err != nil || len(entries) != 1 {
		t.Errorf("left in %s: %v (%v), want the one copy", state, entries, err)
	}
	info, err := os.Stat(filepath.Join(state, "postgres-18.0.0-"+platform(), "native", "bin", "postgres"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v (%v), want one that lets everybody run it", info.Mode(), err)
	}
}

func TestMissingBinariesSayHowToGetThem(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{t.TempDir(), "/nowhere"} {
		if _, err := packageDir(dir); !errors.Is(err, ErrNoBinaries) {
			t.Errorf("%s: %v, want ErrNoBinaries", dir, err)
		}
	}
	if _, err := findPackage(t.TempDir()); !errors.Is(err, ErrNoBinaries) {
		t.Errorf("%v, want ErrNoBinaries", err)
	}
}

func TestAccountForNobodyButRoot(t *testing.T) {
	t.Parallel()
	if acc, err := accountFor(1000, "nobody"); err != nil || acc.switched || acc.uid != 1000 {
		t.Errorf("an ordinary user runs it as %+v (%v), want themselves", acc, err)
	}
	if acc, err := accountFor(rootUID, ""); err != nil || !acc.switched || acc.uid == rootUID {
		t.Errorf("root runs it as %+v (%v), want somebody else", acc, err)
	}
	for _, name := range []string{"root", "no such account"} {
		if _, err := accountFor(rootUID, name); err == nil {
			t.Errorf("root may run it as %q", name)
		}
	}
}
