package embeddedpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

const rootUID = 0

// account is the system user the server runs as.
type account struct {
	uid, gid uint32
	switched bool // another one than this process's
}

// accountFor picks this process's own user, or for root the named one ("" is nobody).
func accountFor(euid int, name string) (account, error) {
	if euid != rootUID {
		return account{uid: uint32(euid), gid: uint32(os.Getegid())}, nil // ids of a system are 32 bits wide
	}
	if name == "" {
		name = "nobody"
	}
	u, err := user.Lookup(name)
	if err != nil {
		return account{}, fmt.Errorf("PostgreSQL refuses to run as root, and the account to run it as is missing: %w", err)
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return account{}, fmt.Errorf("account %s: %w", name, err)
	}
	if uid == rootUID {
		return account{}, fmt.Errorf("PostgreSQL refuses to run as root, and %s is root", name)
	}
	return account{uid: uint32(uid), gid: uint32(gid), switched: true}, nil
}

// own makes path private to the account.
func (a account) own(path string) error {
	if a.switched {
		if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
			return fmt.Errorf("give %s to the account that PostgreSQL runs as: %w", path, err)
		}
	}
	if err := os.Chmod(path, 0o700); err != nil { // a directory needs its x bit
		return fmt.Errorf("make %s private: %w", path, err)
	}
	return nil
}

// reaches tells whether the account can walk to path, which need not exist itself: every directory above it must let
// the account through.
func (a account) reaches(path string) (bool, error) {
	if !a.switched {
		return true, nil // the kernel will say what this process may not
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return false, fmt.Errorf("can PostgreSQL reach %s: %w", path, err)
		}
		if !a.may(info, 0o1) {
			return false, nil
		}
		if dir == filepath.Dir(dir) {
			return true, nil
		}
	}
}

// may tells whether the permission bits of a file grant want (r=4, w=2, x=1) to the account.
func (a account) may(info fs.FileInfo, want fs.FileMode) bool {
	perm := info.Mode().Perm()
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		switch {
		case st.Uid == a.uid:
			perm >>= 6
		case st.Gid == a.gid:
			perm >>= 3
		}
	}
	return perm&want == want
}
