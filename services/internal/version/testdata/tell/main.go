// Command tell prints its version.
package main

import (
	"os"

	"noteworks.dev/services/internal/version"
)

func main() {
	if _, err := os.Stdout.WriteString(version.Of()); err != nil {
		os.Exit(1)
	}
}
