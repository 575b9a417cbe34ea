package measure

import (
	"os"
	"os/exec"
	"testing"
)

func TestATreeCountsItsChildren(t *testing.T) {
	t.Parallel()
	// A shell that computes in a child it waits for, then in itself, and then waits to be told to end.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `(i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done); echo ready; read -r end`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	own, tree := Process(cmd.Process.Pid), Tree(cmd.Process.Pid)
	if tree.CPU < own.CPU+2*tick || tree.Resident < own.Resident || own.Resident == 0 {
		t.Errorf("the process %+v, its tree %+v", own, tree)
	}
	found := false
	for _, pid := range Children(os.Getpid(), "sh") {
		found = found || pid == cmd.Process.Pid
	}
	if !found {
		t.Error("the shell is not among this process's children")
	}
}

func TestWhatHasEndedUsesNothing(t *testing.T) {
	t.Parallel()
	if u := Process(1 << 30); u != (Usage{}) {
		t.Errorf("%+v", u)
	}
}
