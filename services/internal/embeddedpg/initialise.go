package embeddedpg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// characterTypes are tried in turn for LC_CTYPE: without a UTF-8 one, trigrams and text search see no letters outside
// ASCII. glibc has the first, macOS the second.
func characterTypes() []string { return []string{"C.UTF-8", "en_US.UTF-8"} }

// initialise makes the cluster unless it is there, and returns the superuser's password. The cluster appears by a
// rename, so a start that was killed half-way is simply done again.
func (h home) initialise(ctx context.Context, bin binaries) (string, error) {
	if _, err := os.Stat(filepath.Join(h.cluster(), "PG_VERSION")); err == nil {
		return h.readPassword()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	password := rand.Text()
	if err := h.writePassword(password); err != nil {
		return "", err
	}
	fresh := h.cluster() + ".new"
	if err := h.initdb(ctx, bin, fresh); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, h.cluster()); err != nil {
		return "", err
	}
	return password, nil
}

func (h home) readPassword() (string, error) {
	text, err := os.ReadFile(h.passwordFile())
	if err != nil {
		return "", fmt.Errorf("the superuser's password: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (h home) writePassword(password string) error {
	if err := os.WriteFile(h.passwordFile(), []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("the superuser's password: %w", err)
	}
	if !h.account.switched {
		return nil
	}
	// initdb reads the file as the account it runs as.
	if err := os.Chown(h.passwordFile(), int(h.account.uid), int(h.account.gid)); err != nil {
		return fmt.Errorf("the superuser's password: %w", err)
	}
	return nil
}

func (h home) initdb(ctx context.Context, bin binaries, dir string) error {
	var failed error
	for _, ctype := range characterTypes() {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		out, err := h.runInitdb(ctx, bin, dir, ctype)
		if err == nil {
			return nil
		}
		failed = errors.Join(failed, fmt.Errorf("initdb with LC_CTYPE %s: %w\n%s", ctype, err, out))
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}

func (h home) runInitdb(ctx context.Context, bin binaries, dir, ctype string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, bin.initdb(), // the path of the binaries we prepared
		"--pgdata="+dir, "--username="+superuser, "--pwfile="+h.passwordFile(), "--auth=scram-sha-256",
		"--wal-segsize=2", // MB: a young database makes its segments anew, filled with zeros, while commits wait; the usual 16 take 20 ms and more
		"--encoding=UTF8", "--locale=C", "--lc-ctype="+ctype, "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
		"--no-sync", // the first checkpoint of the server writes everything through
		"--no-instructions")
	cmd.Dir = h.dir
	cmd.Env = environment()
	cmd.SysProcAttr = processAttributes(h.account)
	return cmd.CombinedOutput()
}
