package systemtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"noteworks.dev/services/allinone/server"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/test/client"
)

// patience bounds what a story waits for; a wait that ends here has failed.
const patience = 20 * time.Second

// world is one running stack and what the tests need of it.
type world struct {
	t         *testing.T
	data      string
	stack     *server.Server
	collector *collector
	logs      *logs
}

// worlds runs a story in both shapes of the stack.
func worlds(t *testing.T, story func(w *world)) {
	t.Helper()
	t.Run("one process", func(t *testing.T) {
		t.Parallel()
		story(startWorld(t, nil))
	})
	t.Run("three processes", func(t *testing.T) {
		t.Parallel()
		story(startWorld(t, launchPrograms(t)))
	})
}

type launcher = func(context.Context, string, map[string]string) (func(context.Context) error, error)

func startWorld(t *testing.T, launch func(*logs, *collector) launcher) *world {
	t.Helper()
	w := &world{t: t, data: dataDir(t), collector: startCollector(t)}
	err := w.start(launch)
	for range 2 { // a port that was free may be the other end of somebody's connection by the time it is listened on
		if err == nil || !strings.Contains(err.Error()+w.logs.String(), "address already in use") {
			break
		}
		err = w.start(launch)
	}
	if err != nil {
		t.Fatalf("start the stack: %v\n%s", err, w.logs)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.stack.Stop(ctx); err != nil {
			t.Errorf("stop the stack: %v", err)
		}
		w.logs.requireNoErrors(t)
	})
	return w
}

func (w *world) start(launch func(*logs, *collector) launcher) error {
	w.t.Helper()
	w.logs = &logs{}
	o := server.Options{Data: w.data, Web: webDir(w.t, w.data), Workspaces: []server.Workspace{{Slug: "default", Title: "Noteworks"}, {Slug: "other", Title: "Others"}}}
	if launch != nil {
		o.Launch = launch(w.logs, w.collector)
	}
	w.stack = server.New(o, config.Map(w.collector.settings()), w.logs, w.logs)
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	return w.stack.Start(ctx)
}

// settings make a service tell everything to this collector, soon.
func (c *collector) settings() map[string]string {
	return map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": c.url,
		"OTEL_BSP_SCHEDULE_DELAY":     "50",
		"LOG_LEVEL":                   "info",
	}
}

// dataDir is outside t.TempDir, which is closed to the other account that root's PostgreSQL runs as.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "noteworks-systemtest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// webDir is a page that stands for the built web app, which has tests of its own.
func webDir(t *testing.T, dir string) string {
	t.Helper()
	web := filepath.Join(dir, "web")
	if err := os.MkdirAll(web, 0o755); err != nil {
		t.Fatal(err)
	}
	page := `<!doctype html><meta charset="utf-8"><meta name="csp-nonce" content="__CSP_NONCE__"><title>Noteworks</title>`
	if err := os.WriteFile(filepath.Join(web, "index.html"), []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	return web
}

// programsDir is where this run's programs are built.
func programsDir() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("noteworks-programs-%d", os.Getpid()))
}

// buildPrograms builds the three services, once per run of the tests.
var buildPrograms = sync.OnceValue(func() error { //nolint:gochecknoglobals // the once of the run
	out, err := exec.Command("go", "build", "-o", programsDir()+"/", "noteworks.dev/services/user", "noteworks.dev/services/note", "noteworks.dev/services/gateway").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the services: %w\n%s", err, out)
	}
	return nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(programsDir())
	os.Exit(code)
}

// launchPrograms starts each service as its own program, configured by environment only.
func launchPrograms(t *testing.T) func(*logs, *collector) launcher {
	t.Helper()
	if err := buildPrograms(); err != nil {
		t.Fatal(err)
	}
	return func(l *logs, c *collector) launcher {
		return func(ctx context.Context, service string, settings map[string]string) (func(context.Context) error, error) {
			ops, err := opsAddress(settings)
			if err != nil {
				return nil, err
			}
			cmd := exec.Command(filepath.Join(programsDir(), service))
			cmd.Stdout, cmd.Stderr = l, l
			for k, v := range settings {
				cmd.Env = append(cmd.Env, k+"="+v)
			}
			for k, v := range c.settings() {
				cmd.Env = append(cmd.Env, k+"="+v)
			}
			cmd.Env = append(cmd.Env, "OPS_ADDR="+ops, "OTEL_SERVICE_NAME="+service)
			if err := cmd.Start(); err != nil {
				return nil, err
			}
			exited := make(chan error, 1)
			go func() { exited <- cmd.Wait() }()
			end := func(ctx context.Context) error {
				_ = cmd.Process.Signal(os.Interrupt) // gone already if it fails
				select {
				case err := <-exited:
					return err
				case <-ctx.Done():
					_ = cmd.Process.Kill()
					return ctx.Err()
				}
			}
			if err := ready(ctx, "http://"+ops+"/readyz", exited); err != nil {
				return nil, errors.Join(err, end(ctx))
			}
			return end, nil
		}
	}
}

// opsAddress is the one of the settings if they name a port: a free one is known to nobody but the program.
func opsAddress(settings map[string]string) (string, error) {
	if given := settings["OPS_ADDR"]; !strings.HasSuffix(given, ":0") {
		return given, nil
	}
	return freeAddress()
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

func ready(ctx context.Context, url string, exited chan error) error {
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		resp, err := http.Get(url)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-exited:
			exited <- err // for end
			return fmt.Errorf("ended before it was ready: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// logs keeps what every service logged.
type logs struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

func (l *logs) requireNoErrors(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, `"level":"ERROR"`) {
			t.Errorf("an unexpected line in the log: %s", line)
		}
	}
}

// ctx bounds one story.
func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// owner signs the owner of the default workspace in.
func (w *world) owner() *client.Client {
	w.t.Helper()
	c := client.New(w.stack.URL(), nil)
	email, password := w.stack.Owner("default")
	w.must(c.Login(w.ctx(), email, password))
	return c
}

// signUp makes a new person of the default workspace.
func (w *world) signUp(name string) *client.Client {
	w.t.Helper()
	c := client.New(w.stack.URL(), nil)
	w.must(c.Register(w.ctx(), name+"@example.com", name, "correct horse battery staple"))
	return c
}

// watch opens a person's live socket for the rest of the test.
func (w *world) watch(c *client.Client, since string) *client.Live {
	w.t.Helper()
	l, err := c.Watch(w.ctx(), since)
	w.must(err)
	w.t.Cleanup(l.Close)
	return l
}

// waitFor returns the first frame of an event of a note.
func (w *world) waitFor(l *client.Live, event, noteID string) client.Frame {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		f, err := l.Next(ctx)
		if err != nil {
			w.t.Fatalf("wait for %s of %s: %v", event, noteID, err)
		}
		if f.Event != event {
			continue
		}
		fact, err := f.Fact()
		w.must(err)
		if fact.NoteID == noteID {
			return f
		}
	}
}

// click is a trace that begins in the browser.
type click struct{ trace, span string }

func newClick() click {
	id := make([]byte, 24)
	_, _ = rand.Read(id) // never fails
	return click{hex.EncodeToString(id[:16]), hex.EncodeToString(id[16:])}
}

func (c click) header() http.Header {
	return http.Header{"Traceparent": {"00-" + c.trace + "-" + c.span + "-01"}}
}
