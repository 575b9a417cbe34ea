// Package version says what a program was built as. It knows nothing else and imports the standard library only.
package version

import (
	"runtime/debug"
	"strings"
)

// released is given by the linker to programs that are released: -ldflags "-X noteworks.dev/services/internal/version.released=0.1.0".
var released string //nolint:gochecknoglobals // the linker can set nothing else

// unreleased is the version of a program nobody gave one.
const unreleased = "0.0.0-dev"

// Of is the version this program was released as. Others tell the commit they were built from, if Go knew it: 0.0.0-dev+1a2b3c4d5e6f,
// with ".dirty" if there was more than the commit.
func Of() string {
	if released != "" {
		return released
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unreleased
	}
	return of(info)
}

func of(info *debug.BuildInfo) string {
	var commit string
	var dirty bool
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if commit == "" {
		return unreleased
	}
	parts := []string{commit[:min(len(commit), 12)]}
	if dirty {
		parts = append(parts, "dirty")
	}
	return unreleased + "+" + strings.Join(parts, ".")
}
