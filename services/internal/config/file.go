package config

import (
	"fmt"
	"os"
	"strings"
)

// ReadFile is the value in the file of a NAME_FILE setting as it is now, for values that are replaced while the program runs: mounted
// secrets and projected tokens. One trailing newline is cut off. The error holds the path and the system's word, never the value.
func ReadFile(path string) (Secret, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %s", path, reason(err))
	}
	return Secret(strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")), nil
}
