package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Access is how to reach the services that run on a data directory. It stands there, for its owner only, while they run.
type Access struct {
	Token string `json:"token"`
	// Services is the URLs of the internal ports, by service.
	Services map[string]string `json:"services"`
}

func accessFile(data string) string { return filepath.Join(data, "admin.json") }

// Grant writes access into the data directory, in one step.
func Grant(data string, access Access) error {
	content, err := json.MarshalIndent(access, "", "  ")
	if err != nil {
		return fmt.Errorf("write the console's access: %w", err)
	}
	next := accessFile(data) + ".new"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return fmt.Errorf("write the console's access: %w", err)
	}
	if err := os.Rename(next, accessFile(data)); err != nil {
		return fmt.Errorf("write the console's access: %w", err)
	}
	return nil
}

// Revoke removes it.
func Revoke(data string) error {
	if err := os.Remove(accessFile(data)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the console's access: %w", err)
	}
	return nil
}

func readAccess(data string) (Access, error) {
	var access Access
	content, err := os.ReadFile(accessFile(data))
	if errors.Is(err, fs.ErrNotExist) {
		return access, fmt.Errorf("no Noteworks runs on the data directory %q: name another one with --data, or a service on a cluster with --server and --token-file", data)
	}
	if err != nil {
		return access, fmt.Errorf("read how to reach the Noteworks that runs here: %w", err)
	}
	if err := json.Unmarshal(content, &access); err != nil {
		return access, fmt.Errorf("%s is damaged; it is written anew when Noteworks starts: %w", accessFile(data), err)
	}
	return access, nil
}
