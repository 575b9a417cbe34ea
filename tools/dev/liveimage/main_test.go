package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheArchiveHoldsAnImageThatRunsTheProgramUnderLive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := options{name: "note", program: put(t, dir, "note"), live: put(t, dir, "live"), ref: "noteworks/note:dev", out: filepath.Join(dir, "note.tar"), arch: "arm64"}
	if err := write(o); err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(o.out)
	if err != nil {
		t.Fatal(err)
	}
	outer := unpacked(t, archive)
	if got := string(outer["manifest.json"]); got != `[{"Config":"config.json","Layers":["layer.tar"],"RepoTags":["noteworks/note:dev"]}]` {
		t.Errorf("the manifest is %s", got)
	}
	var config struct {
		Architecture string
		Config       struct {
			Entrypoint []string
			User       string
		}
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(outer["config.json"], &config); err != nil {
		t.Fatal(err)
	}
	if config.Architecture != "arm64" || config.Config.User != "65532:65532" || fmt.Sprint(config.Config.Entrypoint) != "[/bin/live /note]" {
		t.Errorf("the configuration is %s", outer["config.json"])
	}
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256(outer["layer.tar"])); config.Rootfs.DiffIDs[0] != want {
		t.Errorf("its layer is not %s", want)
	}
	files := unpacked(t, outer["layer.tar"])
	if string(files["note"]) != "note" || string(files["bin/tar"]) != "live" || string(files["bin/live"]) != "live" {
		t.Errorf("the layer holds %q", files)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for want, o := range map[string]options{
		"-name":         {},
		"there-is-none": {name: "note", ref: "noteworks/note:dev", out: filepath.Join(dir, "x.tar"), program: filepath.Join(dir, "there-is-none")},
	} {
		if err := write(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it says %v", err)
		}
	}
}

func put(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func unpacked(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
