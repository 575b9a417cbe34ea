package image

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// source is where an image comes from.
type source struct {
	revision string // empty when it is not known
	created  time.Time
}

// sourceOf asks git for the commit. SOURCE_DATE_EPOCH and REVISION stand above it, and are all there is where there is no git, in
// an unpacked release say; without anything the image is of the Unix epoch.
func sourceOf(ctx context.Context, root string, lookup func(string) (string, bool)) (source, error) {
	s := source{created: time.Unix(0, 0).UTC()}
	if at, err := git(ctx, root, "log", "-1", "--format=%H %ct"); err == nil {
		commit, seconds, _ := strings.Cut(at, " ")
		if s.created, err = unix(seconds); err != nil {
			return source{}, err
		}
		s.revision = commit
		if changed, err := git(ctx, root, "status", "--porcelain", "--untracked-files=no"); err != nil || changed != "" {
			s.revision += "-dirty"
		}
	} else if missing := new(exec.ExitError); !errors.As(err, &missing) && !errors.Is(err, exec.ErrNotFound) {
		return source{}, err
	}
	if at, ok := lookup("SOURCE_DATE_EPOCH"); ok && at != "" {
		created, err := unix(at)
		if err != nil {
			return source{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
		}
		s.created = created
	}
	if revision, ok := lookup("REVISION"); ok && revision != "" {
		s.revision = revision
	}
	return s, nil
}

func unix(seconds string) (time.Time, error) {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a number of seconds since 1970", seconds)
	}
	return time.Unix(n, 0).UTC(), nil
}

func git(ctx context.Context, root string, args ...string) (string, error) {
	said, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).Output()
	return strings.TrimSpace(string(said)), err
}
