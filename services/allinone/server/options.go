package server

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"noteworks.dev/services/allinone/console"
)

// Options say where the stack lives and what is in it.
type Options struct {
	// Port of the public door on all loopback addresses; 0 takes a free one.
	Port int
	// Data is the directory that keeps everything; made if missing.
	Data string
	// Web is the built web app.
	Web string
	// Workspaces are applied at start; `default` always is.
	Workspaces []Workspace
	// Launch starts one service with its settings and returns how to stop it; nil starts it in this process.
	// Tests start the service's own program instead.
	Launch func(ctx context.Context, service string, settings map[string]string) (func(context.Context) error, error)
}

// Workspace is one to apply at start.
type Workspace struct {
	Slug, Title string
}

func parse(args []string, out io.Writer) (Options, error) {
	o := Options{Workspaces: []Workspace{{Slug: defaultSlug, Title: "Noteworks"}}}
	f := flag.NewFlagSet("noteworks", flag.ContinueOnError)
	f.SetOutput(out)
	f.IntVar(&o.Port, "port", 8080, "port of the web app; 0 takes a free one")
	f.StringVar(&o.Data, "data", "data", "directory that keeps everything")
	f.StringVar(&o.Web, "web", filepath.Join("web", "dist"), "directory of the built web app")
	f.Func("workspace", "one more workspace, as SLUG or SLUG=TITLE; its address is http://SLUG.localhost:PORT (may be repeated)", func(s string) error {
		slug, title, _ := strings.Cut(s, "=")
		if slug == "" {
			return errors.New("the slug is missing")
		}
		if slug == defaultSlug {
			o.Workspaces[0].Title = title
			return nil
		}
		o.Workspaces = append(o.Workspaces, Workspace{Slug: slug, Title: title})
		return nil
	})
	f.Usage = func() {
		_, _ = fmt.Fprintf(out, "noteworks starts all of it, and stops it when it is told to.\n\n")
		f.PrintDefaults()
		_, _ = fmt.Fprintf(out, "\nOne that runs is administered with:\n\n%s\n--help after each of them lists its options.\n", console.Help())
	}
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("what is %q? Options begin with a dash: --help lists them", f.Arg(0))
	}
	if o.Port < 0 || o.Port > 65535 {
		return o, fmt.Errorf("--port %d: a port is a number from 0 to 65535", o.Port)
	}
	return o, nil
}
