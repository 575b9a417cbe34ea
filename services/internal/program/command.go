package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/telemetry"
	"noteworks.dev/services/internal/version"
)

// Exit statuses of a program.
const (
	Done       = 0
	Failed     = 1 // of settings, too: the line before it names them
	Misspelled = 2 // the command line is not one of ours
)

// Program is a service as a command.
type Program struct {
	Name string
	// Is says in a few words what the service is.
	Is string
	// Serve runs the service until ctx ends.
	Serve Run
	// Commands are what else it can do.
	Commands []Command
}

// Run does something of a program until it is done or ctx ends. Logs go to logs.
type Run func(ctx context.Context, lookup config.LookupFunc, logs io.Writer) error

// Command is one word that may follow a program's name.
type Command struct {
	Name, Does string
	Run        Run
}

// Main is all of a main function: it runs p as the process was called, until it is done or the process is told to end, and exits.
func Main(p Program) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	limitMemory(os.DirFS("/"), os.LookupEnv)
	go GiveBackMemory(ctx, nil)
	status := p.Execute(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// Execute does what args, which follow the program's name, ask for, and answers the exit status.
func (p Program) Execute(ctx context.Context, args []string, lookup config.LookupFunc, stdout, stderr io.Writer) int {
	run, status := p.find(args, stdout, stderr)
	if run == nil {
		return status
	}
	if err := run(ctx, lookup, stdout); err != nil {
		say(stderr, "%s: %v\n", p.Name, err)
		return Failed
	}
	return Done
}

func (p Program) find(args []string, stdout, stderr io.Writer) (Run, int) {
	if len(args) == 0 {
		return p.Serve, Done
	}
	if len(args) == 1 {
		switch args[0] {
		case "-h", "--help", "-help", "help":
			p.usage(stdout)
			return nil, Done
		case "-v", "--version", "-version", "version":
			say(stdout, "%s %s (%s %s/%s)\n", p.Name, version.Of(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil, Done
		}
		for _, c := range p.Commands {
			if c.Name == args[0] {
				return c.Run, Done
			}
		}
	}
	say(stderr, "%s: %q is not something it can do\n\n", p.Name, strings.Join(args, " "))
	p.usage(stderr)
	return nil, Misspelled
}

func (p Program) usage(w io.Writer) {
	lines := []Command{{Name: "", Does: "serve until told to stop (SIGTERM)"}}
	lines = append(lines, p.Commands...)
	lines = append(lines, Command{Name: "--help", Does: "this text"}, Command{Name: "--version", Does: "what was built"})
	widest := 0
	for _, c := range lines {
		widest = max(widest, len(c.Name))
	}
	say(w, "%s is %s.\n\n", p.Name, p.Is)
	for _, c := range lines {
		say(w, "  %s %-*s  %s\n", p.Name, widest, c.Name, c.Does)
	}
	say(w, "\nIts settings come from the environment; docs/settings.md lists them.\n")
}

// say prints for whoever called the program; there is nothing to do when nobody reads it.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// Migrate is the command that brings a service's schema up to date and ends. It waits for the database for as long as ctx lives.
func Migrate(name string, migrations ...fs.FS) Command {
	return Command{
		Name: "migrate",
		Does: "bring the schema of the database up to date (MIGRATE_DATABASE_URL), and end",
		Run: func(ctx context.Context, lookup config.LookupFunc, logs io.Writer) error {
			set, err := config.Load[migration](lookup)
			if err != nil {
				return err
			}
			tel, err := telemetry.New(ctx, name, lookup, logs)
			if err != nil {
				return err
			}
			if err := pg.MigrateWhenThere(ctx, set.Database, NewWaiting(tel.Log).For, migrations...); err != nil {
				return errors.Join(err, flush(ctx, tel))
			}
			tel.Log.InfoContext(ctx, "the schema is up to date")
			return flush(ctx, tel)
		},
	}
}

// migration is the settings of Migrate.
type migration struct {
	// Owner is required here and not where a service serves. It is Database.MigrateURL.
	Owner    config.Secret `env:"MIGRATE_DATABASE_URL,required" should:"the owner's role: postgres://owner:password@host/database"`
	Database pg.Config
}
