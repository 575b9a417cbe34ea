package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/world"
)

// peers measures the way of a change, and then what others would use for the way of its event, on the same PostgreSQL.
func peers(ctx context.Context, s *suite) (*measure.Result, error) {
	w, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	pairs, err := s.pairs(ctx, w, s.sockets)
	if err != nil {
		return nil, err
	}
	defer world.Leave(pairs)
	r := &measure.Result{
		Title: "From the commit to the receiver, beside what others would use (ms from the intended time; CPU in µs of a change)",
		Text: "Noteworks is the whole way: a request through the gateway, authentication, validation, access, note, revision and event, JetStream, and the frame in the other person's socket; its CPU is the whole " +
			"program's. The peers are the bare way: one row and its event in a transaction of one program, and a receiver in the same one, by which their CPU includes that of their load. They are set to be fast: " +
			"Watermill polls every millisecond (its default is a second), River fetches every millisecond (100 ms).",
		Columns: []measure.Column{
			{Key: "p50", Title: "p50", Format: "%.2f"}, {Key: "p90", Title: "p90", Format: "%.2f"}, {Key: "p99", Title: "p99", Format: "%.2f"}, {Key: "max", Title: "max", Format: "%.1f"},
			{Key: "cpu", Title: "CPU", Format: "%.0f"}, {Key: "database", Title: "PostgreSQL", Format: "%.0f"},
			{Key: "doubled", Title: "doubled", Format: "%.0f"}, {Key: "inverted", Title: "out of order", Format: "%.0f"},
		},
	}
	for _, rate := range []int{500, 1000} {
		t, err := world.Drive(ctx, pairs, w.Usage, s.load(rate))
		r.Verdict = r.Verdict.Add(t.Verdict)
		v := costsOf(t)
		v["doubled"], v["inverted"] = float64(t.Verdict.Doubled), float64(t.Verdict.Inverted)
		r.Rows = append(r.Rows, measure.Row{Label: fmt.Sprintf("Noteworks, %d a second", rate), Values: v})
		if err != nil {
			return r, err
		}
	}
	if err := w.Settle(ctx); err != nil {
		return r, err
	}
	others, err := s.others(ctx, w)
	if err != nil {
		return r, err
	}
	r.Rows = append(r.Rows, others.Rows...)
	return r, nil
}

// others runs the program of the peers, a module of its own, on a database beside those of the stack.
func (s *suite) others(ctx context.Context, w *world.World) (*measure.Result, error) {
	database, err := w.NewDatabase(ctx, "peers")
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "run", "-C", "test/load/peers", ".", "-database", database,
		"-postgres", strconv.Itoa(w.DatabasePID()), "-warmup", s.warmup.String(), "-duration", s.duration.String())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the peers: %w", err)
	}
	var r measure.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return nil, fmt.Errorf("the peers answered no result: %w", err)
	}
	return &r, nil
}
