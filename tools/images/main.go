// Command images makes the container images of Noteworks, without Docker and without a base image, and writes them as archives or
// pushes them to a registry. `make images` is how it is called; docs/images.md says what is inside.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"noteworks.dev/tools/images/internal/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := image.Run(ctx, os.Args[1:], os.LookupEnv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}
