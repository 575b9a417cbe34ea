package sbom_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdxlib"

	"noteworks.dev/tools/images/internal/sbom"
)

func document(parts ...sbom.Part) sbom.Document {
	return sbom.Document{
		Name: "noteworks-note", Version: "0.1.0", License: "Apache-2.0", Source: "https://example.test/source/",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Parts: parts,
	}
}

func write(t *testing.T, d sbom.Document) []byte {
	t.Helper()
	text, err := sbom.Write(d)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func read(t *testing.T, text []byte) *spdx.Document {
	t.Helper()
	doc, err := spdxjson.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestItIsValidSPDXAndTellsEveryPart(t *testing.T) {
	t.Parallel()
	text := write(t, document(
		sbom.Part{Name: "@vue/shared", Version: "3.5.0", URL: "pkg:npm/%40vue/shared@3.5.0", License: "MIT", SHA512: strings.Repeat("ab", 64)},
		sbom.Part{Name: "golang.org/x/crypto", Version: "v0.1.0", URL: "pkg:golang/golang.org/x/crypto@v0.1.0"},
	))
	doc := read(t, text)
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	if doc.CreationInfo.Created != "2026-01-02T03:04:05Z" || !strings.HasPrefix(doc.DocumentNamespace, "https://example.test/source/spdx/noteworks-note-0.1.0/") {
		t.Errorf("created %s, namespace %s", doc.CreationInfo.Created, doc.DocumentNamespace)
	}
	var told []string
	for _, p := range doc.Packages {
		line := p.PackageName + " " + p.PackageVersion + " " + p.PackageLicenseDeclared
		for _, r := range p.PackageExternalReferences {
			line += " " + r.Locator
		}
		told = append(told, line)
	}
	want := []string{
		"noteworks-note 0.1.0 Apache-2.0",
		"golang.org/x/crypto v0.1.0 NOASSERTION pkg:golang/golang.org/x/crypto@v0.1.0",
		"@vue/shared 3.5.0 MIT pkg:npm/%40vue/shared@3.5.0",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, not %q", told, want)
	}
	if sums := doc.Packages[2].PackageChecksums; len(sums) != 1 || sums[0].Value != strings.Repeat("ab", 64) {
		t.Errorf("checksums: %v", sums)
	}
}

func TestTheOrderAndRepetitionOfPartsDoNotMatter(t *testing.T) {
	t.Parallel()
	a, b := sbom.Part{Name: "a", Version: "1", URL: "pkg:npm/a@1"}, sbom.Part{Name: "b", Version: "1", URL: "pkg:npm/b@1"}
	once, again := write(t, document(a, b)), write(t, document(b, a, b))
	if !bytes.Equal(once, again) {
		t.Error("two orders make two documents")
	}
	other := read(t, write(t, document(a)))
	if read(t, once).DocumentNamespace == other.DocumentNamespace {
		t.Error("two documents share a namespace")
	}
}

func TestAProgramTellsItsModulesAndItsGo(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "images")
	if said, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "noteworks.dev/tools/images").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	parts, err := sbom.OfProgram(program)
	if err != nil {
		t.Fatal(err)
	}
	has := func(prefix string) bool {
		return slices.ContainsFunc(parts, func(p sbom.Part) bool { return strings.HasPrefix(p.URL, prefix) })
	}
	if !has("pkg:golang/stdlib@1.") || !has("pkg:golang/github.com/spdx/tools-golang@v0.") {
		t.Errorf("told %+v", parts)
	}
	if _, err := sbom.OfProgram(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a program that is not there was read")
	}
}

const lock = `{
	"lockfileVersion": 3,
	"packages": {
		"": {"dependencies": {"vue": "3", "alias": "npm:real@1"}, "devDependencies": {"vite": "8"}},
		"node_modules/vue": {"version": "3.5.0", "license": "MIT", "integrity": "sha512-q6s=", "dependencies": {"@vue/shared": "3", "estree-walker": "2"}, "peerDependencies": {"typescript": "*"}},
		"node_modules/@vue/shared": {"version": "3.5.0", "license": "MIT", "dependencies": {"vue": "3"}},
		"node_modules/vue/node_modules/estree-walker": {"version": "2.0.2", "dependencies": {"@types/estree": "1"}},
		"node_modules/@types/estree": {"version": "1.0.0"},
		"node_modules/estree-walker": {"version": "3.0.3", "dev": true},
		"node_modules/alias": {"name": "real", "version": "1.0.0"},
		"node_modules/typescript": {"version": "5.9.0", "peer": true},
		"node_modules/vite": {"version": "8.0.0", "dev": true}
	}
}`

func locked(t *testing.T, text string) ([]sbom.Part, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "package-lock.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return sbom.OfLock(path)
}

func TestALockTellsWhatTheAppIsBundledFromAndNotWhatItIsBuiltWith(t *testing.T) {
	t.Parallel()
	parts, err := locked(t, lock)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, p := range parts {
		told = append(told, p.URL+" in "+p.Place)
		if p.Name == "vue" && (p.SHA512 != "abab" || p.License != "MIT") {
			t.Errorf("vue: %+v", p)
		}
	}
	slices.Sort(told)
	want := []string{
		"pkg:npm/%40types/estree@1.0.0 in node_modules/@types/estree",
		"pkg:npm/%40vue/shared@3.5.0 in node_modules/@vue/shared",
		"pkg:npm/estree-walker@2.0.2 in node_modules/vue/node_modules/estree-walker",
		"pkg:npm/real@1.0.0 in node_modules/alias",
		"pkg:npm/vue@3.5.0 in node_modules/vue",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, not %q", told, want)
	}
}

func TestALockThatCanNotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, says string }{
		"no JSON":            {"{", "unexpected end"},
		"too old":            {`{"lockfileVersion": 1}`, "lockfileVersion 1; it should be 2 or later"},
		"something amiss":    {`{"lockfileVersion": 3, "packages": {"": {"dependencies": {"vue": "3"}}}}`, "needs vue, which is not locked"},
		"a broken hash":      {`{"lockfileVersion": 3, "packages": {"": {"dependencies": {"a": "1"}}, "node_modules/a": {"integrity": "sha512-!"}}}`, "integrity"},
		"a broken one below": {`{"lockfileVersion": 3, "packages": {"": {"dependencies": {"a": "1"}}, "node_modules/a": {"dependencies": {"b": "1"}}, "node_modules/b": {"integrity": "sha512-!"}}}`, "node_modules/b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := locked(t, c.text); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v", err)
			}
		})
	}
}
