package program_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/program"
)

// lines is a log that may be written and read at once.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }

func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func (l *lines) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(l.String(), text); {
		if time.Now().After(deadline) {
			t.Fatalf("%q does not come: %s", text, l)
		}
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // between two looks
	}
}

func TestTheWordsAfterAProgramsName(t *testing.T) {
	t.Parallel()
	run := func(says string, fails error) program.Run {
		return func(_ context.Context, _ config.LookupFunc, logs io.Writer) error {
			_, _ = io.WriteString(logs, says)
			return fails
		}
	}
	p := program.Program{
		Name: "note", Is: "a service", Serve: run("serving", nil),
		Commands: []program.Command{{Name: "migrate", Does: "migrate", Run: run("migrating", nil)}, {Name: "fail", Does: "fail", Run: run("", errors.New("no luck"))}},
	}
	for _, c := range []struct {
		args           string
		status         int
		stdout, stderr string
	}{
		{"", program.Done, "serving", ""},
		{"migrate", program.Done, "migrating", ""},
		{"fail", program.Failed, "", "note: no luck"},
		{"--help", program.Done, "note migrate", ""},
		{"-h", program.Done, "note is a service", ""},
		{"--version", program.Done, "note 0.0.0-dev", ""},
		{"migrat", program.Misspelled, "", `note: "migrat" is not something it can do`},
		{"migrate now", program.Misspelled, "", "note migrate"},
		{"--port=80", program.Misspelled, "", `"--port=80"`},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			status := p.Execute(t.Context(), strings.Fields(c.args), config.Map(nil), &stdout, &stderr)
			if status != c.status || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
				t.Errorf("%d, %q, %q", status, &stdout, &stderr)
			}
			if (stderr.Len() > 0) != (c.status != program.Done) || stdout.Len() > 0 && c.status != program.Done {
				t.Errorf("on the wrong stream: %q, %q", &stdout, &stderr)
			}
		})
	}
}

func TestMigrateWaitsForItsDatabaseSaysSoOnceAndIsDone(t *testing.T) {
	t.Parallel()
	w := pgtest.NewPrivate(t)
	w.Server.Kill()
	schema := fstest.MapFS{"00100_things.sql": {Data: []byte("-- +goose Up\ncreate table things (n int);\n")}}
	urls := t.TempDir()
	for name, url := range map[string]config.Secret{"app": w.Config.URL, "owner": w.Config.MigrateURL} {
		if err := os.WriteFile(filepath.Join(urls, name), []byte(url.Reveal()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings := config.Map(map[string]string{"DATABASE_URL_FILE": filepath.Join(urls, "app"), "MIGRATE_DATABASE_URL_FILE": filepath.Join(urls, "owner")})
	log, done := &lines{}, make(chan error, 1)
	go func() { done <- program.Migrate("note", schema).Run(t.Context(), settings, log) }()
	log.await(t, "cannot be reached")
	if err := w.Server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if said := strings.Count(log.String(), "cannot be reached"); said != 1 || !strings.Contains(log.String(), "the schema is up to date") {
		t.Errorf("%s", log)
	}
	if _, err := w.DB.Pool().Exec(t.Context(), "insert into things values (1)"); err != nil {
		t.Error(err)
	}
	if err := program.Migrate("note", schema).Run(t.Context(), settings, io.Discard); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestMigrateNeedsTheOwnersURL(t *testing.T) {
	t.Parallel()
	for _, set := range []map[string]string{{"DATABASE_URL": "postgres://a:hush@localhost/b"}, {}, {"DATABASE_URL": "postgres://a:hush@localhost/b", "MIGRATE_DATABASE_URL": ""}} {
		err := program.Migrate("note").Run(t.Context(), config.Map(set), io.Discard)
		if err == nil || !strings.Contains(err.Error(), "MIGRATE_DATABASE_URL is ") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%v: %v", set, err)
		}
		if len(set) == 0 && !strings.Contains(err.Error(), "\n  DATABASE_URL is not set") {
			t.Errorf("not all is said together: %v", err)
		}
	}
}

func TestAProgramThatIsToldToStopWhileItWaitsStopsInPeace(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	s := newService()
	s.fails = context.Canceled
	stop()
	if err := program.Serve(ctx, "note", config.Map(map[string]string{"NAME": "n"}), io.Discard, s.build, grace); err != nil {
		t.Errorf("%v", err)
	}
}
