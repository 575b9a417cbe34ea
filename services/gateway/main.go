// Command gateway is the one public door: it serves the web app, routes REST to its services, and pushes live updates.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"noteworks.dev/services/gateway/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := server.Run(ctx, os.LookupEnv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}
