package web

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
)

// etag is a validator by content: in an image all files are of the same moment, and a service worker that lists files by their hashes
// has the same size in each version. What is named by its content is known by its name; the rest is a few kilobytes, read each time.
// content is at its beginning before and after.
func etag(name, encoding string, content io.ReadSeeker) (string, error) {
	sum := sha256.New()
	if strings.HasPrefix(name, hashed) {
		sum.Write([]byte(name))
	} else if _, err := io.Copy(sum, content); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("reread %s: %w", name, err)
	}
	return fmt.Sprintf(`"%x%s"`, sum.Sum(nil)[:12], encoding), nil
}
