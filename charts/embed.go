// Package charts holds the Helm charts of Noteworks, the only description of its Kubernetes objects, for programs that render them.
// Imports Helm's chart types and the standard library. Knows no service.
package charts

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// With all: named templates live in files that begin with an underscore.
//
//go:embed all:noteworks all:noteworks-crds all:noteworks-operator
var files embed.FS

const (
	// Umbrella is the chart of a whole stack; each chart below its folder charts installs alone, too.
	Umbrella = "noteworks"
	// Operator is the chart of what makes NoteWorkspaces true.
	Operator = "noteworks-operator"
	// CRDs is the chart of their definition.
	CRDs = "noteworks-crds"
)

// FS returns the folders of the charts, as they lie in the repository.
func FS() fs.FS { return files }

// Load reads the chart in a folder of FS, with its subcharts. Rendering changes a chart: load one for each time.
func Load(dir string) (*chart.Chart, error) {
	var found []*archive.BufferedFile
	err := fs.WalkDir(files, dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		found = append(found, &archive.BufferedFile{Name: strings.TrimPrefix(path, dir+"/"), Data: data})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", dir, err)
	}
	loaded, err := loader.LoadFiles(found)
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", dir, err)
	}
	return loaded, nil
}
