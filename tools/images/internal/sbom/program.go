package sbom

import (
	"debug/buildinfo"
	"fmt"
	"runtime/debug"
	"strings"
)

// OfProgram answers the modules and the Go release that are linked into the program at path, by what Go wrote into it.
func OfProgram(path string) ([]Part, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("what %s was built of: %w", path, err)
	}
	release := strings.TrimPrefix(info.GoVersion, "go")
	parts := []Part{{Name: "stdlib", Version: release, URL: "pkg:golang/stdlib@" + release, License: "BSD-3-Clause"}}
	for _, m := range info.Deps {
		parts = append(parts, ofModule(m))
	}
	return parts, nil
}

func ofModule(m *debug.Module) Part {
	if m.Replace != nil {
		m = m.Replace
	}
	return Part{Name: m.Path, Version: m.Version, URL: "pkg:golang/" + escape(m.Path) + "@" + escape(m.Version)}
}

// escape writes what has a meaning in a package URL in its percent form.
func escape(s string) string {
	return strings.NewReplacer("%", "%25", "@", "%40", "+", "%2B", "?", "%3F", "#", "%23", " ", "%20").Replace(s)
}
