package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// logs are what the processes write: a file for each, and the lines at the level ERROR.
type logs struct {
	dir string

	mu     sync.Mutex
	files  map[string]*log
	errors []string
	panics []string
}

type log struct {
	of   *logs
	name string
	file *os.File
	rest []byte
}

func openLogs(dir string) (*logs, error) {
	return &logs{dir: dir, files: map[string]*log{}}, os.MkdirAll(dir, 0o755)
}

// of is where a process writes.
func (l *logs) of(process string) io.Writer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.files[process] == nil {
		one := &log{of: l, name: process}
		if file, err := os.Create(filepath.Join(l.dir, process+".log")); err == nil { // without the file, the lines are still looked at
			one.file = file
		}
		l.files[process] = one
	}
	return l.files[process]
}

func (o *log) Write(p []byte) (int, error) {
	o.of.mu.Lock()
	defer o.of.mu.Unlock()
	if o.file != nil {
		_, _ = o.file.Write(p) // a full disk is the business of the rest
	}
	o.rest = append(o.rest, p...)
	for {
		line, rest, whole := bytes.Cut(o.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		o.look(string(line))
		o.rest = rest
	}
}

func (o *log) look(line string) {
	switch {
	case strings.Contains(line, `"level":"ERROR"`):
		o.of.errors = append(o.of.errors, o.name+": "+line)
	case strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.Contains(line, "DATA RACE"):
		o.of.panics = append(o.of.panics, o.name+": "+line)
	}
}

// unexpected takes the errors since the last time, without those that contain one of the allowed texts.
func (l *logs) unexpected(allowed []string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := slices.DeleteFunc(l.errors, func(line string) bool {
		return slices.ContainsFunc(allowed, func(text string) bool { return strings.Contains(line, text) })
	})
	found = append(found, l.panics...)
	l.errors, l.panics = nil, nil
	return found
}

// tail is the end of each log.
func (l *logs) tail() string {
	const most = 2 << 10
	var b strings.Builder
	for name := range l.files {
		text, _ := os.ReadFile(filepath.Join(l.dir, name+".log")) // what there is
		_, _ = fmt.Fprintf(&b, "--- %s\n%s", name, text[max(0, len(text)-most):])
	}
	return b.String()
}

func (l *logs) close() {
	for _, one := range l.files {
		if one.file != nil {
			_ = one.file.Close()
		}
	}
}
