package version

import (
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"
)

func TestAProgramThatWasNotReleasedTellsItsCommit(t *testing.T) {
	t.Parallel()
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for name, c := range map[string]struct {
		settings []debug.BuildSetting
		want     string
	}{
		"without a repository": {nil, "0.0.0-dev"},
		"of a commit":          {[]debug.BuildSetting{{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: "false"}}, "0.0.0-dev+0123456789ab"},
		"of more":              {[]debug.BuildSetting{{Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: "true"}}, "0.0.0-dev+0123456789ab.dirty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := of(&debug.BuildInfo{Settings: c.settings}); got != c.want {
				t.Errorf("%q, not %q", got, c.want)
			}
		})
	}
}

// The name of the variable stands in the image builder, too; a linker that finds none says nothing.
func TestTheLinkerSetsTheVersionOfARelease(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "tell")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X noteworks.dev/services/internal/version.released=1.2.3", "-o", program, "./testdata/tell")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	said, err := exec.CommandContext(t.Context(), program).Output()
	if err != nil || string(said) != "1.2.3" {
		t.Errorf("told %q, error %v", said, err)
	}
}
