package embeddedpg

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrInUse means that another running server has the data directory.
var ErrInUse = errors.New("the data directory is in use by another process")

// home is one locked data directory and the account that owns what is in it.
//
//	cluster/      PostgreSQL's own files (PGDATA)
//	superuser     the superuser's password
//	postgres.log  the server's log
//	socket        where the last server's socket directory is
//	lock          held while a process uses the directory
type home struct {
	dir     string
	account account
	lock    *os.File
}

func (h home) cluster() string      { return filepath.Join(h.dir, "cluster") }
func (h home) passwordFile() string { return filepath.Join(h.dir, "superuser") }
func (h home) socketFile() string   { return filepath.Join(h.dir, "socket") }

// openHome makes or finds the data directory, in a place the account reaches, and locks it.
func openHome(dataDir string, acc account, log *slog.Logger) (home, error) {
	if dataDir == "" {
		return home{}, errors.New("PostgreSQL needs a data directory")
	}
	asked, err := filepath.Abs(dataDir)
	if err != nil {
		return home{}, fmt.Errorf("data directory %s: %w", dataDir, err)
	}
	dir, err := settle(asked, acc, mover{stateDir: stateDir, log: log})
	if err != nil {
		return home{}, fmt.Errorf("data directory %s: %w", asked, err)
	}
	h := home{dir: dir, account: ownerOf(filepath.Join(dir, "cluster"), acc)}
	if err := h.account.own(dir); err != nil {
		return home{}, err
	}
	if h.lock, err = lockFile(filepath.Join(dir, "lock")); err != nil {
		return home{}, fmt.Errorf("%s: %w", asked, err)
	}
	return h, nil
}

// ownerOf keeps a cluster with the account that made it: what a person started as themselves and then as root is
// still theirs.
func ownerOf(path string, acc account) account {
	info, err := os.Stat(path)
	if err != nil || !acc.switched {
		return acc
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != rootUID {
		return account{uid: st.Uid, gid: st.Gid, switched: true}
	}
	return acc
}

// settle returns the real directory behind the one asked for, made if need be.
func settle(asked string, acc account, mv mover) (string, error) {
	if _, err := os.Lstat(asked); err == nil {
		return settleExisting(asked, acc, mv)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(asked), 0o755); err != nil { // the directory itself is private
		return "", err
	}
	ok, err := acc.reaches(asked)
	if err != nil {
		return "", err
	}
	if !ok {
		return mv.moveOut(asked)
	}
	if err := os.Mkdir(asked, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return asked, nil
}

// settleExisting follows the link of an earlier start, and moves an empty directory that the account cannot reach.
func settleExisting(asked string, acc account, mv mover) (string, error) {
	dir, err := filepath.EvalSymlinks(asked)
	if err != nil {
		return "", err
	}
	ok, err := ownerOf(filepath.Join(dir, "cluster"), acc).reaches(dir)
	if err != nil || ok {
		return dir, err
	}
	if err := os.Remove(dir); err != nil {
		return "", fmt.Errorf("the account that PostgreSQL runs as cannot reach it, and it is not empty: %w", err)
	}
	return mv.moveOut(asked)
}

// mover finds other places for data that would be out of reach.
type mover struct {
	stateDir string
	log      *slog.Logger
}

// moveOut makes the directory below stateDir and leaves a link to it where it was asked for. The link is what says that
// the data is still wanted: without it an older directory of the same name is put aside, never opened and never deleted.
func (m mover) moveOut(asked string) (string, error) {
	sum := sha256.Sum256([]byte(asked))
	dir := filepath.Join(m.stateDir, filepath.Base(asked)+"-"+hex.EncodeToString(sum[:6]))
	if err := makeOpenDir(m.stateDir); err != nil {
		return "", err
	}
	if err := m.putAside(dir); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if err := os.Symlink(dir, asked); err != nil {
		return "", err
	}
	m.log.Info("PostgreSQL's account cannot reach the data directory: the data is elsewhere, behind a link",
		"asked", asked, "dir", dir)
	return dir, nil
}

func (m mover) putAside(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	old := dir + ".old-" + time.Now().UTC().Format("20060102T150405.000000")
	if err := os.Rename(dir, old); err != nil {
		return err
	}
	m.log.Warn("an older data directory whose link is gone was put aside", "dir", old)
	return nil
}

// lockFile takes the lock or fails at once. The kernel gives it back when the process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { // a descriptor fits
		holder, _ := io.ReadAll(io.LimitReader(f, 32)) // only for the message
		closeErr := f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(inUse(strings.TrimSpace(string(holder))), closeErr)
		}
		return nil, errors.Join(fmt.Errorf("lock: %w", err), closeErr)
	}
	if err := writeOwner(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func inUse(holder string) error {
	if holder == "" {
		return ErrInUse
	}
	return fmt.Errorf("%w (process %s)", ErrInUse, holder)
}

// writeOwner leaves this process's id in the lock file, for people and for the message above.
func writeOwner(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	return nil
}

func (h home) unlock() error {
	if err := h.lock.Close(); err != nil {
		return fmt.Errorf("unlock %s: %w", h.dir, err)
	}
	return nil
}
