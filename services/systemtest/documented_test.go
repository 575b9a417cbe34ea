package systemtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// codeIn finds the codes that the services refuse with: where an error is made, and where one has a name.
var codeIn = regexp.MustCompile(`errs\.[A-Z]\w+\((?:errs\.Kind\w+, )?"([a-z][a-z-]*[a-z])"|\b[cC]ode[A-Z]\w*\s+= "([a-z][a-z-]*[a-z])"`)

func TestEveryErrorCodeIsDocumented(t *testing.T) {
	t.Parallel()
	text := page(t, "errors.md")
	found := 0
	eachGoFile(t, "..", func(path, source string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, m := range codeIn.FindAllStringSubmatch(source, -1) {
			found++
			if code := m[1] + m[2]; !strings.Contains(text, "`"+code+"`") {
				t.Errorf("%s refuses with %q, which docs/errors.md does not know", path, code)
			}
		}
	})
	if found < 100 {
		t.Errorf("only %d codes found in the sources", found)
	}
}

func TestEveryTestThatTheListOfBadInputNamesIsThere(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	for _, folder := range []string{"..", "../../operator"} {
		eachGoFile(t, folder, func(_, source string) {
			for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(source, -1) {
				there[m[1]] = true
			}
		})
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(page(t, "input.md"), -1)
	for _, m := range named {
		if !there[m[1]] {
			t.Errorf("docs/input.md names %s, which there is not", m[1])
		}
	}
	if len(named) < 30 {
		t.Errorf("docs/input.md names only %d tests", len(named))
	}
}

// page is one of the documentation.
func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func eachGoFile(t *testing.T, folder string, look func(path, source string)) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err == nil {
			look(path, string(source))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
