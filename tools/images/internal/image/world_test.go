package image

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fixture is a repository as small as one can be that has everything an image is made of.
func fixture() map[string]string {
	return map[string]string{
		"go.mod":                               "module noteworks.dev\n\ngo 1.26\n",
		"LICENSE":                              "Do what you like.\n",
		"services/internal/version/version.go": "package version\n\nvar released string\n\nfunc Of() string { return released }\n",
		"services/user/main.go":                "package main\n\nimport (\n\t\"os\"\n\n\t\"noteworks.dev/services/internal/version\"\n)\n\nfunc main() { os.Stdout.WriteString(version.Of()) }\n",
		"services/gateway/main.go":             "package main\n\nfunc main() {}\n",
		"web/dist/index.html":                  "<!doctype html>",
		"web/dist/assets/app-1a2b3c.js":        "console.log(1)",
		"web/dist/assets/app-1a2b3c.js.br":     "smaller",
		"web/dist/.vite/manifest.json":         "{}",
		"web/node_modules/vue/LICENSE":         "Keep this notice.",
		"web/package-lock.json": `{"lockfileVersion": 3, "packages": {
			"": {"dependencies": {"vue": "1"}},
			"node_modules/vue": {"version": "1.2.3", "license": "MIT"}}}`,
	}
}

// repository writes files into a folder of its own.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// settings answer what is named, and nothing else of this machine's environment.
func settings(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// epoch and commit are of no repository.
func epoch() func(string) (string, bool) {
	return settings("SOURCE_DATE_EPOCH", "1790000000", "REVISION", "0123456789abcdef")
}

// images builds the images of the repository at root as args say, "-images user,gateway" unless they say more.
func images(t *testing.T, root string, args ...string) []built {
	t.Helper()
	o, err := parse(append([]string{"-root", root, "-version", "1.2.3", "-images", "user,gateway"}, args...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	all, err := o.build(t.Context(), epoch(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// run is the command as a person calls it; it answers what it told.
func run(ctx context.Context, root string, args ...string) (string, error) {
	var told strings.Builder
	err := Run(ctx, append([]string{"-root", root, "-version", "1.2.3", "-images", "user,gateway"}, args...), epoch(), &told)
	return told.String(), err
}
