//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test's own program stands for a service: it writes its length into a file, which tells two of them apart, and waits to be told to end.
const noteEnv = "LIVE_TEST_NOTE"

func TestMain(m *testing.M) {
	if note := os.Getenv(noteEnv); note != "" {
		service(note)
	}
	os.Exit(m.Run())
}

func service(note string) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	f, err := os.OpenFile(note, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintf(f, "%s has %d bytes\n", os.Args[0], self.Size())
	<-stop
	_, _ = fmt.Fprintln(f, "told to end")
	os.Exit(7)
}

func TestTheNewerProgramTakesThePlaceOfTheOlder(t *testing.T) {
	note, socket := filepath.Join(t.TempDir(), "note"), fmt.Sprintf("@noteworks-live-test-%d", os.Getpid())
	t.Setenv(noteEnv, note)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		code, err := (&runner{program: self, socket: socket, out: io.Discard, grace: 10 * time.Second}).run(ctx)
		if err != nil {
			t.Error(err)
		}
		ended <- code
	}()
	says(t, note, fmt.Sprintf("%s has %d bytes\n", self, len(program)))

	if err := unpack(archive(t, append(program, "newer"...)), socket); err != nil {
		t.Fatal(err)
	}
	says(t, note, fmt.Sprintf("told to end\n%s has %d bytes\n", self, len(program)+5))

	if err := unpack(archive(t, []byte("no program")), socket); err == nil || !strings.Contains(err.Error(), "not started") {
		t.Errorf("what is no program: %v", err)
	}
	says(t, note, fmt.Sprintf("told to end\n%s has %d bytes\n", self, len(program)+5)) // again: the one that ran before

	cancel()
	select {
	case code := <-ended:
		if code != 7 {
			t.Errorf("it ended with %d, not as the program did", code)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
}

func archive(t *testing.T, program []byte) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "user", Mode: 0o755, Size: int64(len(program))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// says waits until the note ends so.
func says(t *testing.T, note, end string) {
	t.Helper()
	tick, deadline := time.NewTicker(10*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for {
		text, _ := os.ReadFile(note)
		if strings.HasSuffix(string(text), end) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the note does not end with %q:\n%s", end, text)
		}
	}
}
