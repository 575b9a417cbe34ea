// Package console is the words of the noteworks command for somebody on call: dlq, outbox and stream. It is a client of admin.v1.EventService, of the services that
// the same command runs on a data directory, or of one anywhere by its address and a token.
//
// It promises: what an event holds is printed only when that is asked for by name; an empty answer is a sentence; an error says what to do; the exit status is 0
// when it is done, 1 when it is not, 2 when the command line is not understood. Imports connect and the generated client, and no service.
package console

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Exit statuses.
const (
	done       = 0
	failed     = 1
	misspelled = 2
)

// command is two words and what they do.
type command struct {
	group, verb string
	args, does  string
	flags       func(*options, *flag.FlagSet)
	run         func(context.Context, *session) error
}

func commands() []command {
	return []command{
		{"dlq", "ls", "", "list events that were given up", listFlags, list},
		{"dlq", "show", "NUMBER", "tell all of one, but what it holds only with --payload", showFlags, show},
		{"dlq", "replay", "NUMBER... | --all", "have them handled once more", replayFlags, replay},
		{"dlq", "discard", "NUMBER...", "take them from the list for good", nil, discard},
		{"outbox", "status", "", "who relays, what waits, and what stands in the streams", nil, status},
		{"stream", "rebuild", "STREAM", "empty a stream (USER, NOTE) and fill it again from its outbox", nil, rebuild},
	}
}

// Knows reports whether the words after the program's name are for the console.
func Knows(args []string) bool {
	return len(args) > 0 && slices.ContainsFunc(commands(), func(c command) bool { return c.group == args[0] })
}

// Help is a line for each command.
func Help() string {
	var b strings.Builder
	for _, c := range commands() {
		_, _ = fmt.Fprintf(&b, "  noteworks %-34s %s\n", strings.TrimSpace(c.group+" "+c.verb+" "+c.args), c.does)
	}
	return b.String()
}

// Run does what args ask for, and answers the exit status.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, ok := find(args)
	if !ok {
		say(stderr, "noteworks: %q is not something it can do. It can:\n\n%s", strings.Join(args[:min(2, len(args))], " "), Help())
		return misspelled
	}
	o, err := c.parse(args[2:], stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return done
	case err != nil:
		say(stderr, "noteworks: %v\n", err)
		return misspelled
	}
	err = c.do(ctx, o, stdout)
	var wrong *usageError
	switch {
	case errors.As(err, &wrong):
		say(stderr, "noteworks: %v\n", err)
		return misspelled
	case err != nil:
		say(stderr, "noteworks: %v\n", err)
		return failed
	}
	return done
}

func find(args []string) (command, bool) {
	for _, c := range commands() {
		if len(args) >= 2 && c.group == args[0] && c.verb == args[1] {
			return c, true
		}
	}
	return command{}, false
}

func (c command) do(ctx context.Context, o *options, stdout io.Writer) error {
	targets, err := o.targets()
	if err != nil {
		return err
	}
	return c.run(ctx, &session{options: o, targets: targets, out: stdout})
}

// session is one run of a command.
type session struct {
	*options
	targets []target
	out     io.Writer
}

// usageError is of the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func misused(format string, a ...any) error { return &usageError{fmt.Sprintf(format, a...)} }

// say prints for whoever called; there is nothing to do when nobody reads it.
func say(w io.Writer, format string, a ...any) { _, _ = fmt.Fprintf(w, format, a...) }
