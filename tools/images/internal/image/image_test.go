package image

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// entry is a file or folder of an image.
type entry struct {
	tar.Header
	data []byte
}

// contents are the files and folders of img by their paths.
func contents(t *testing.T, img v1.Image) map[string]entry {
	t.Helper()
	all := map[string]entry{}
	flat := mutate.Extract(img)
	defer flat.Close()
	r := tar.NewReader(flat)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all["/"+strings.Trim(h.Name, "/")] = entry{*h, data}
	}
}

func TestAnImageHasItsProgramAndWhatItNeedsAndNothingElse(t *testing.T) {
	t.Parallel()
	all := images(t, repository(t, fixture()), "-arch", "amd64")
	user, gateway := contents(t, all[0].image), contents(t, all[1].image)

	folders := []string{"/etc", "/etc/ssl", "/etc/ssl/certs", "/usr", "/usr/share", "/usr/share/noteworks"}
	common := append(folders, "/etc/passwd", "/etc/group", "/etc/ssl/certs/ca-certificates.crt", sbomPath, noticesPath)
	if got, want := paths(user), sorted(append(slices.Clone(common), "/user")); !slices.Equal(got, want) {
		t.Errorf("user has %q, not %q", got, want)
	}
	web := []string{"/web", "/web/index.html", "/web/assets", "/web/assets/app-1a2b3c.js", "/web/assets/app-1a2b3c.js.br"}
	if got, want := paths(gateway), sorted(slices.Concat(common, web, []string{"/gateway"})); !slices.Equal(got, want) {
		t.Errorf("gateway has %q, not %q", got, want)
	}
	for path, e := range gateway {
		want := int64(0o444)
		switch {
		case e.Typeflag == tar.TypeDir:
			want = 0o755
		case path == "/gateway":
			want = 0o555
		}
		if e.Mode != want || e.Uid != 0 || e.Gid != 0 || e.ModTime.Unix() != 0 {
			t.Errorf("%s: mode %o, owner %d:%d, of %v", path, e.Mode, e.Uid, e.Gid, e.ModTime)
		}
	}
	if !strings.Contains(string(user["/etc/passwd"].data), "nonroot:x:65532:65532:") || !strings.Contains(string(user["/etc/group"].data), "nonroot:x:65532:") {
		t.Error("the account is missing")
	}
}

func paths(of map[string]entry) []string { return slices.Sorted(maps.Keys(of)) }

func sorted(all []string) []string { return slices.Sorted(slices.Values(all)) }

func TestTheRootsAreReadBySystemsThatTrustThem(t *testing.T) {
	t.Parallel()
	pem, err := certificates()
	if err != nil {
		t.Fatal(err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) || bytes.Count(pem, []byte("BEGIN CERTIFICATE")) < 100 {
		t.Errorf("%d bytes with %d certificates", len(pem), bytes.Count(pem, []byte("BEGIN CERTIFICATE")))
	}
}

func TestAProgramIsStaticAndOfItsProcessor(t *testing.T) {
	t.Parallel()
	all := images(t, repository(t, fixture()), "-arch", "arm64,amd64")
	for i, want := range []struct {
		name, arch string
		machine    elf.Machine
	}{
		{"user", "amd64", elf.EM_X86_64}, {"user", "arm64", elf.EM_AARCH64},
		{"gateway", "amd64", elf.EM_X86_64}, {"gateway", "arm64", elf.EM_AARCH64},
	} {
		program, err := elf.NewFile(bytes.NewReader(contents(t, all[i].image)["/"+want.name].data))
		if err != nil {
			t.Fatal(err)
		}
		interpreted := slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
		if program.Machine != want.machine || interpreted || program.Section(".symtab") != nil {
			t.Errorf("%s for %s: %v, dynamic %v, symbols %v", want.name, want.arch, program.Machine, interpreted, program.Section(".symtab") != nil)
		}
		config, err := all[i].image.ConfigFile()
		if err != nil || config.Architecture != want.arch || config.OS != "linux" {
			t.Errorf("%s for %s is of %s/%s, error %v", want.name, want.arch, config.OS, config.Architecture, err)
		}
	}
}

func TestAnImageSaysWhatItIsAndHowItRuns(t *testing.T) {
	t.Parallel()
	all := images(t, repository(t, fixture()), "-arch", "amd64", "-tag", "other", "-source", "https://example.test/source")
	gateway := all[1].image
	config, err := gateway.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config
	if !slices.Equal(c.Entrypoint, []string{"/gateway"}) || c.User != "65532:65532" || !slices.Contains(c.Env, "WEB_DIR=/web") || len(c.Cmd) > 0 {
		t.Errorf("runs %q %q as %q with %q", c.Entrypoint, c.Cmd, c.User, c.Env)
	}
	if got := slices.Sorted(maps.Keys(c.ExposedPorts)); !slices.Equal(got, []string{"8080/tcp", "8083/tcp"}) {
		t.Errorf("ports %q", got)
	}
	manifest, err := gateway.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"title": "noteworks-gateway", "version": "1.2.3", "revision": "0123456789abcdef", "source": "https://example.test/source",
		"licenses": "Apache-2.0", "created": "2026-09-21T14:13:20Z", "vendor": "Noteworks",
		"description": "The public door of Noteworks: web app, REST routing and live updates",
	} {
		label := "org.opencontainers.image." + name
		if c.Labels[label] != want || manifest.Annotations[label] != want {
			t.Errorf("%s is %q and %q, not %q", label, c.Labels[label], manifest.Annotations[label], want)
		}
	}
	if got := config.Created.Unix(); got != 1790000000 {
		t.Errorf("created at %d", got)
	}
}

func TestAnSBOMIsInTheImage(t *testing.T) {
	t.Parallel()
	all := images(t, repository(t, fixture()), "-arch", "amd64")
	inside := contents(t, all[1].image)[sbomPath].data
	if !bytes.Equal(inside, all[1].sbom) {
		t.Error("the SBOM in the image is another than the one that is attached")
	}
	var doc struct {
		Packages []struct{ Name, VersionInfo string }
	}
	if err := json.Unmarshal(inside, &doc); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range doc.Packages {
		names = append(names, p.Name)
	}
	if !slices.Equal(names, []string{"noteworks-gateway", "stdlib", "vue"}) {
		t.Errorf("it tells of %q", names)
	}
}

func TestTheLicensesOfOthersAreInTheImage(t *testing.T) {
	t.Parallel()
	text := string(contents(t, images(t, repository(t, fixture()), "-arch", "amd64")[1].image)[noticesPath].data)
	for _, want := range []string{"Do what you like.", "\nGo\n", "Redistribution and use in source and binary forms", "\nvue 1.2.3\n", "Keep this notice."} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

func TestWhatIsMissingIsSaidBeforeAnythingIsCompiled(t *testing.T) {
	t.Parallel()
	files := fixture()
	delete(files, "web/dist/index.html")
	told, err := run(t.Context(), repository(t, files))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "web app") || told != "" {
		t.Errorf("error %v after %q", err, told)
	}
}

func TestAProgramThatDoesNotCompileIsShown(t *testing.T) {
	t.Parallel()
	files := fixture()
	files["services/user/main.go"] = "package main\n\nfunc main() { undefined() }\n"
	if _, err := run(t.Context(), repository(t, files)); err == nil || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("error %v", err)
	}
}

func TestAnImageAboveTheLimitIsTheErrorAndIsNotWritten(t *testing.T) {
	t.Parallel()
	root := repository(t, fixture())
	told, err := run(t.Context(), root, "-limit", "0", "-arch", "amd64")
	if err == nil || !strings.Contains(err.Error(), "user for amd64 has") || !strings.Contains(err.Error(), "gateway for amd64 has") {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(told, "COMPRESSED") || !strings.Contains(told, "sha256:") {
		t.Errorf("the table is missing:\n%s", told)
	}
	if _, err := os.Stat(filepath.Join(root, "dist", "images")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
}
