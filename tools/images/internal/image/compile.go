package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// versionVariable is where a program finds the version it was released as.
const versionVariable = "noteworks.dev/services/internal/version.released"

// compile builds the programs of all recipes for one processor into dir, by name. It is one call of the go command: that shares what
// the programs share and keeps every core busy.
//
// The same sources, version and Go give the same bytes, wherever they lie: no paths (-trimpath), no state of the repository
// (-buildvcs), and none of the settings of Go that a machine may have.
func (o *Options) compile(ctx context.Context, arch, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	args := []string{
		"build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", dir + string(filepath.Separator),
		"-ldflags", "-s -w -buildid= -X " + versionVariable + "=" + o.Version,
	}
	for _, r := range o.Recipes {
		args = append(args, r.Package)
	}
	if said, err := o.goCommand(ctx, arch, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build for %s: %w\n%s", arch, err, said)
	}
	return nil
}

func (o *Options) goCommand(ctx context.Context, arch string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = o.Root
	cmd.Env = append(os.Environ(),
		"CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off")
	return cmd
}
