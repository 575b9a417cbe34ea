package anchor

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// flush writes a page of PostgreSQL's log to the same place and waits until the disk has it.
func flush(ctx context.Context, dir string, during time.Duration) (sample, error) {
	f, err := os.Create(filepath.Join(dir, "flush"))
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer func() { _ = f.Close() }() // only measured with
	page := make([]byte, 8<<10)
	return loop(ctx, 1, during, func(int) (func() error, func(), error) {
		once := func() error {
			if _, err := f.WriteAt(page, 0); err != nil {
				return err
			}
			return f.Sync()
		}
		return once, func() {}, nil
	})
}
