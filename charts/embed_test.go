package charts

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryFileOfTheChartsIsEmbedded(t *testing.T) {
	t.Parallel()
	for _, chart := range []string{Umbrella, Operator, CRDs} {
		seen := 0
		err := filepath.WalkDir(chart, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			seen++
			onDisk, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			embedded, err := fs.ReadFile(FS(), filepath.ToSlash(path))
			if err != nil || !bytes.Equal(onDisk, embedded) {
				t.Errorf("%s is not embedded as it is: %v", path, err)
			}
			return nil
		})
		if err != nil || seen == 0 {
			t.Fatalf("%d files of %s: %v", seen, chart, err)
		}
	}
}

// Each chart installs alone, so each has the shared templates; they are one text all the same.
func TestTheKitIsTheSameInEveryChart(t *testing.T) {
	t.Parallel()
	kit, err := os.ReadFile("kit/_kit.tpl")
	if err != nil {
		t.Fatal(err)
	}
	for _, chart := range append(subcharts(t), Operator) {
		copied, err := fs.ReadFile(FS(), chart+"/templates/_kit.tpl")
		if err != nil {
			t.Errorf("%s has no kit: run make generate", chart)
			continue
		}
		first, rest, _ := strings.Cut(string(copied), "\n")
		if !strings.Contains(first, "enerated") || rest != string(kit) {
			t.Errorf("%s/templates/_kit.tpl is not charts/kit/_kit.tpl below a line that says it is generated: run make generate", chart)
		}
	}
}

// The images that `make images` makes by default are those that the charts ask for by default.
func TestChartsAndImagesHaveOneVersion(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{Umbrella, Umbrella + "/charts/user", Umbrella + "/charts/note", Umbrella + "/charts/gateway", Operator, CRDs} {
		c, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if line := "\nVERSION ?= " + c.Metadata.AppVersion + "\n"; !bytes.Contains(makefile, []byte(line)) {
			t.Errorf("the Makefile lacks %q, %s's appVersion", strings.TrimSpace(line), dir)
		}
	}
}

func TestAChartThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	if _, err := Load("noteworks/charts/mail"); err == nil || !strings.Contains(err.Error(), "noteworks/charts/mail") {
		t.Fatalf("got %v", err)
	}
}

func TestSubchartsAreOfTheUmbrellasVersion(t *testing.T) {
	t.Parallel()
	whole, err := Load(Umbrella)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]string{}
	for _, d := range whole.Metadata.Dependencies {
		declared[d.Name] = d.Version
	}
	for _, sub := range whole.Dependencies() {
		if sub.Metadata.Version != whole.Metadata.Version || declared[sub.Name()] != sub.Metadata.Version {
			t.Errorf("%s is %s, and declared as %q in %s %s", sub.Name(), sub.Metadata.Version, declared[sub.Name()], Umbrella, whole.Metadata.Version)
		}
		delete(declared, sub.Name())
	}
	for name := range declared {
		t.Errorf("%s is declared and not there", name)
	}
}
