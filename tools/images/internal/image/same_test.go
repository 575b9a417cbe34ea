package image

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func digests(t *testing.T, all []built) []v1.Hash {
	t.Helper()
	var sums []v1.Hash
	for _, b := range all {
		d, err := b.image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, d)
	}
	return sums
}

func TestTheSameInputsGiveTheSameDigestInAnotherPlaceUnderAnotherTag(t *testing.T) {
	t.Parallel()
	const both = "amd64,arm64"
	here := digests(t, images(t, repository(t, fixture()), "-arch", both))
	there := digests(t, images(t, repository(t, fixture()), "-arch", both, "-tag", "other", "-out", t.TempDir()))
	for i := range here {
		if here[i] != there[i] {
			t.Errorf("image %d is %s here and %s there", i, here[i], there[i])
		}
	}
}

func TestEveryInputCounts(t *testing.T) {
	t.Parallel()
	first := digests(t, images(t, repository(t, fixture()), "-arch", "amd64"))
	for path, text := range map[string]string{
		"services/gateway/main.go": "package main\n\nfunc main() { println() }\n",
		"web/dist/index.html":      "<!doctype html><title>other</title>",
		"web/package-lock.json":    `{"lockfileVersion": 3, "packages": {"": {}}}`,
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			files := fixture()
			files[path] = text
			changed := digests(t, images(t, repository(t, files), "-arch", "amd64"))
			if changed[1] == first[1] || changed[0] != first[0] {
				t.Errorf("the gateway was %s and is %s, user was %s and is %s", first[1], changed[1], first[0], changed[0])
			}
		})
	}
}

// What the small repository can not show: that no file of ours writes a path, a time or a random number into its program.
func TestTheRealServicesAreTheSameInAnotherPlace(t *testing.T) {
	t.Parallel()
	here := copyOf(t, filepath.Join("..", "..", "..", ".."))
	there := copyOf(t, here)
	a, b := programs(t, here), programs(t, there)
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			t.Errorf("%s differs", name)
		}
		if bytes.Contains(a[name], []byte(here)) {
			t.Errorf("%s holds the path of its sources", name)
		}
		// The operator's is that of the charts in it, or of the images that it makes stacks of.
		if name != "operator" && !bytes.Contains(a[name], []byte("1.2.3-same")) {
			t.Errorf("%s does not know its version: is the linker's variable still called so?", name)
		}
	}
}

// copyOf copies what the programs are built from.
func copyOf(t *testing.T, root string) string {
	t.Helper()
	there := t.TempDir()
	for _, folder := range []string{"services", "operator", "charts"} {
		if err := os.CopyFS(filepath.Join(there, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(there, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return there
}

// programs are those of all images, compiled from the repository at root, by name.
func programs(t *testing.T, root string) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	o := Options{Root: root, Version: "1.2.3-same", Recipes: Recipes()}
	if err := o.compile(t.Context(), "amd64", dir); err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, r := range o.Recipes {
		data, err := os.ReadFile(filepath.Join(dir, r.Name))
		if err != nil {
			t.Fatal(err)
		}
		all[r.Name] = data
	}
	return all
}

func TestTheSourceIsWhatGitSaysUnlessTold(t *testing.T) {
	t.Parallel()
	root := repository(t, map[string]string{"a": "1"})
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "a"}, {"commit", "--quiet", "-m", "a"}} {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.test"}, args...)...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z")
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	clean, err := sourceOf(t.Context(), root, settings())
	if err != nil || len(clean.revision) != 40 || clean.created.Format("2006-01-02 15:04:05 MST") != "2026-01-02 03:04:05 UTC" {
		t.Errorf("a clean one is %+v, error %v", clean, err)
	}
	if err := os.WriteFile(filepath.Join(root, "a"), []byte("2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := sourceOf(t.Context(), root, settings()); err != nil || changed.revision != clean.revision+"-dirty" {
		t.Errorf("a changed one is %+v, error %v", changed, err)
	}
	told, err := sourceOf(t.Context(), root, settings("SOURCE_DATE_EPOCH", "1", "REVISION", "r"))
	if err != nil || told.revision != "r" || told.created.Unix() != 1 {
		t.Errorf("told, it is %+v, error %v", told, err)
	}
	if _, err := sourceOf(t.Context(), root, settings("SOURCE_DATE_EPOCH", "yesterday")); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
		t.Errorf("yesterday is %v", err)
	}
	if nowhere, err := sourceOf(t.Context(), t.TempDir(), settings()); err != nil || nowhere.revision != "" || nowhere.created.Unix() != 0 {
		t.Errorf("without git it is %+v, error %v", nowhere, err)
	}
}
