// Command run starts a PostgreSQL server for tests, runs the command it is given with NOTEWORKS_TEST_POSTGRES set, and
// cleans up: `run go test ./...`. It exits as the command did.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"noteworks.dev/services/internal/pgtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		os.Exit(max(1, ended.ExitCode())) // it has said why
	case err != nil:
		fmt.Fprintln(os.Stderr, "pgtest/run:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: run <command> [arguments]")
	}
	return pgtest.Run(ctx, func(url string) error {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...) // running what it is told is its job
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), pgtest.EnvURL+"="+url)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it can clean up, too
		return cmd.Run()
	})
}
