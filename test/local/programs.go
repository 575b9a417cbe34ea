package local

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Programs are the built programs of a Spread.
type Programs struct{ dir string }

// BuildPrograms compiles the services, the NATS server and what keeps PostgreSQL into dir. Call it from anywhere inside the module.
func BuildPrograms(ctx context.Context, dir string) (Programs, error) {
	for name, pkg := range map[string]string{
		"user": "noteworks.dev/services/user", "note": "noteworks.dev/services/note", "gateway": "noteworks.dev/services/gateway",
		"nats": "github.com/nats-io/nats-server/v2", "postgres": "noteworks.dev/services/internal/embeddedpg/run",
	} {
		out, err := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, name), pkg).CombinedOutput()
		if err != nil {
			return Programs{}, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return Programs{dir}, nil
}

func (p Programs) path(name string) string { return filepath.Join(p.dir, name) }
