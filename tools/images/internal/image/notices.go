package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"noteworks.dev/tools/images/internal/notice"
	"noteworks.dev/tools/images/internal/sbom"
)

// noticesPath is where each image carries the licenses of what it contains.
const noticesPath = "/usr/share/noteworks/LICENSES.txt"

// moduleOfEach asks Go for the module of each package that is linked in, and where it is.
const moduleOfEach = `{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{"\t"}}{{.Dir}}{{"\t"}}{{$.Dir}}{{end}}{{end}}`

// notices are the licenses of this repository, of Go and the modules in r's program, and of the packages in its web app.
func (k *kitchen) notices(ctx context.Context, r Recipe, arch string) ([]byte, error) {
	own, err := os.ReadFile(filepath.Join(k.options.Root, "LICENSE"))
	if err != nil {
		return nil, err
	}
	works, err := k.options.modules(ctx, r, arch)
	if err != nil {
		return nil, err
	}
	if r.Web != "" {
		app, err := sbom.OfLock(k.lock(r))
		if err != nil {
			return nil, err
		}
		for _, p := range app {
			works = append(works, notice.Work{Name: p.Name + " " + p.Version, Dir: filepath.Join(k.options.Root, r.Web, p.Place), License: p.License})
		}
	}
	return notice.Write(own, works)
}

// modules are Go's own library, whose license is the one of its tools, and what the program of r imports.
func (o *Options) modules(ctx context.Context, r Recipe, arch string) ([]notice.Work, error) {
	goroot, err := o.goCommand(ctx, arch, "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	said, err := o.goCommand(ctx, arch, "list", "-mod=readonly", "-deps", "-f", moduleOfEach, r.Package).Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	works := []notice.Work{{Name: "Go", Dir: strings.TrimSpace(string(goroot)), License: "BSD-3-Clause"}}
	at := map[string]int{}
	for row := range strings.Lines(string(said)) {
		fields := strings.Split(strings.TrimSpace(row), "\t")
		if len(fields) != 3 {
			continue
		}
		i, ok := at[fields[0]]
		if !ok {
			i = len(works)
			at[fields[0]] = i
			works = append(works, notice.Work{Name: fields[0], Dir: fields[1]})
		}
		works[i].Used = append(works[i].Used, fields[2])
	}
	return works, nil
}
