package notice_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"noteworks.dev/tools/images/internal/notice"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestEveryTextIsThereOnceUnderAllItHoldsFor(t *testing.T) {
	t.Parallel()
	a := folder(t, map[string]string{"LICENSE": "MIT says\r\nso.\r\n", "license.go": "package a", "main.go": "package main"})
	b := folder(t, map[string]string{"LICENSE.md": "MIT says\nso.", "NOTICE": "B was here."})
	c := folder(t, map[string]string{"COPYING": "C's own.", "deep/LICENSE": "Deep one.", "deep/er/x.go": "package er", "other/LICENSE": "Not used."})
	works := []notice.Work{
		{Name: "b 1", Dir: b},
		{Name: "c 1", Dir: c, Used: []string{filepath.Join(c, "deep", "er"), c}},
		{Name: "a 1", Dir: a},
		{Name: "d 1", Dir: folder(t, nil), License: "ISC"},
	}
	got, err := notice.Write([]byte("Ours.\n"), works)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("=", 80)
	want := strings.Join([]string{
		"Ours.", "This contains the work of others, under these terms.",
		"a 1\nb 1\n\nMIT says\nso.", "b 1\n\nB was here.", "c 1\n\nC's own.", "c 1\n\nDeep one.", "d 1\n\nDeclares ISC and brings no text.",
	}, "\n"+line+"\n") + "\n"
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestAWorkWithoutTermsCanNotBePassedOn(t *testing.T) {
	t.Parallel()
	if _, err := notice.Write(nil, []notice.Work{{Name: "a 1", Dir: folder(t, nil)}}); err == nil || !strings.Contains(err.Error(), "license of a 1") {
		t.Errorf("error %v", err)
	}
	if _, err := notice.Write(nil, []notice.Work{{Name: "a 1", Dir: filepath.Join(t.TempDir(), "gone"), License: "MIT"}}); err == nil {
		t.Error("a folder that is not there was read")
	}
}
