package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"noteworks.dev/services/allinone/console"
	adminv1 "noteworks.dev/services/api/gen/admin/v1"
	"noteworks.dev/services/api/gen/admin/v1/adminv1connect"
)

const token = "a-token-0123456789"

// desk stands where a service stands, whose own tests show what it does.
type desk struct {
	name, stream string
	status       *adminv1.OutboxStatus
	token        string

	mu      sync.Mutex
	letters map[uint64]*adminv1.DeadLetter
}

func (d *desk) admit(ctx context.Context, req connect.AnyRequest, next connect.UnaryFunc) (connect.AnyResponse, error) {
	switch req.Header().Get("Authorization") {
	case "Bearer " + d.token:
		d.mu.Lock()
		defer d.mu.Unlock()
		return next(ctx, req)
	case "Bearer somebody-elses":
		return nil, connect.NewError(connect.CodePermissionDenied, fmt.Errorf("gateway may not call this procedure"))
	}
	return nil, connect.NewError(connect.CodeUnauthenticated, fmt.Errorf("unknown"))
}

func (d *desk) find(number uint64) (*adminv1.DeadLetter, error) {
	if l, ok := d.letters[number]; ok {
		return l, nil
	}
	return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("%s has no dead letter of this number.", d.name))
}

func (d *desk) ListDeadLetters(_ context.Context, req *connect.Request[adminv1.ListDeadLettersRequest]) (*connect.Response[adminv1.DeadLetters], error) {
	page := &adminv1.DeadLetters{}
	for _, number := range slices.Sorted(maps.Keys(d.letters)) {
		l := proto.CloneOf(d.letters[number])
		if number < req.Msg.GetFrom() || req.Msg.GetConsumer() != "" && req.Msg.GetConsumer() != l.GetConsumer() {
			continue
		}
		if len(page.DeadLetters) == min(int(req.Msg.GetLimit()), 2) { // a small page, so that there are several
			page.Next = number
			break
		}
		l.Data = nil
		page.DeadLetters = append(page.DeadLetters, l)
	}
	return connect.NewResponse(page), nil
}

func (d *desk) GetDeadLetter(_ context.Context, req *connect.Request[adminv1.GetDeadLetterRequest]) (*connect.Response[adminv1.DeadLetter], error) {
	l, err := d.find(req.Msg.GetNumber())
	if err != nil {
		return nil, err
	}
	l = proto.CloneOf(l)
	if !req.Msg.GetWithData() {
		l.Data = nil
	}
	return connect.NewResponse(l), nil
}

func (d *desk) ReplayDeadLetter(_ context.Context, req *connect.Request[adminv1.ReplayDeadLetterRequest]) (*connect.Response[adminv1.DeadLetter], error) {
	return d.take(req.Msg.GetNumber())
}

func (d *desk) DiscardDeadLetter(_ context.Context, req *connect.Request[adminv1.DiscardDeadLetterRequest]) (*connect.Response[adminv1.DeadLetter], error) {
	return d.take(req.Msg.GetNumber())
}

func (d *desk) take(number uint64) (*connect.Response[adminv1.DeadLetter], error) {
	l, err := d.find(number)
	if err != nil {
		return nil, err
	}
	delete(d.letters, number)
	return connect.NewResponse(l), nil
}

func (d *desk) GetOutboxStatus(context.Context, *connect.Request[adminv1.GetOutboxStatusRequest]) (*connect.Response[adminv1.OutboxStatus], error) {
	return connect.NewResponse(d.status), nil
}

func (d *desk) RebuildStream(_ context.Context, req *connect.Request[adminv1.RebuildStreamRequest]) (*connect.Response[adminv1.RebuiltStream], error) {
	if req.Msg.GetStream() != d.stream {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("%s writes the stream %s and no other.", d.name, d.stream))
	}
	return connect.NewResponse(&adminv1.RebuiltStream{Stream: d.stream, Removed: 41}), nil
}

func letter(number uint64, consumer string) *adminv1.DeadLetter {
	at := time.Date(2026, 11, 27, 15, 0, 0, 0, time.UTC)
	return &adminv1.DeadLetter{
		Number: number, Consumer: consumer, Reason: "a bug\x1b[31m that " + strings.Repeat("goes on and ", 20) + "ends", Attempts: 3, ParkedAt: timestamppb.New(at),
		Stream: "NOTE", StreamSequence: 100 + number, EventId: fmt.Sprintf("0190a5b4-0000-7000-8000-%012d", number), EventType: "note.v1.NoteChanged",
		WorkspaceId: "0190a5b4-0000-7000-8000-000000000001", Key: "a-note", TraceId: "4bf92f3577b34da6a3ce929d0e0e4736", DataBytes: 19, Data: []byte(`{"title":"a secret"}`),
	}
}

// world is a data directory on which user and note run.
type world struct {
	data       string
	user, note *desk
	url        string // note's
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		data: t.TempDir(),
		user: &desk{name: "user", stream: "USER", token: token, status: &adminv1.OutboxStatus{Service: "user", Stream: "USER", Lanes: []*adminv1.LaneStatus{{Newest: 4}}}},
		note: &desk{
			name: "note", stream: "NOTE", token: token, letters: map[uint64]*adminv1.DeadLetter{},
			status: &adminv1.OutboxStatus{
				Service: "note", Stream: "NOTE", Leader: "10.42.0.7", NatsConnected: true, Pending: proto.Int64(12), OldestPending: durationpb.New(90 * time.Second),
				StreamStatus: &adminv1.StreamStatus{Messages: 7, Bytes: 2100, FirstSequence: 3, LastSequence: 9},
				Lanes:        []*adminv1.LaneStatus{{Newest: 21, Published: proto.Int64(9), Pending: proto.Int64(12)}},
			},
		},
	}
	access := console.Access{Token: token, Services: map[string]string{"user": serve(t, w.user), "note": serve(t, w.note)}}
	w.url = access.Services["note"]
	if err := console.Grant(w.data, access); err != nil {
		t.Fatal(err)
	}
	return w
}

func serve(t *testing.T, d *desk) string {
	t.Helper()
	admit := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			return d.admit(ctx, req, next)
		}
	})
	_, handler := adminv1connect.NewEventServiceHandler(d, connect.WithInterceptors(admit))
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func run(t *testing.T, args ...string) (status int, out, complaint string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = console.Run(t.Context(), args, &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

// here runs a command on the world's data directory, which has to succeed.
func (w *world) here(t *testing.T, words ...string) string {
	t.Helper()
	status, out, complaint := run(t, append(words, "--data", w.data)...)
	if status != 0 || complaint != "" {
		t.Fatalf("%v: status %d: %s", words, status, complaint)
	}
	return out
}

func requireParts(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

func TestDeadLettersAreListedWithoutWhatTheyHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if out := w.here(t, "dlq", "ls"); out != "There are no dead letters.\n" {
		t.Errorf("none: %q", out)
	}
	for n := range uint64(5) {
		w.note.letters[n+1] = letter(n+1, []string{"note-people", "note-search"}[n%2])
	}
	out := w.here(t, "dlq", "ls")
	requireParts(t, out, "NUMBER  CONSUMER     EVENT", "1       note-people  note.v1.NoteChanged  0190a5b4-0000-7000-8000-000000000001  2026-11-27T15:00:00Z  3",
		"4bf92f3577b34da6a3ce929d0e0e4736", "a bug�[31m that", "…")
	if strings.Count(out, "\n") != 6 || strings.Contains(out, "secret") || strings.Contains(out, "\x1b") {
		t.Errorf("printed:\n%s", out)
	}
	out = w.here(t, "dlq", "ls", "--limit", "3")
	requireParts(t, out, "There are more: --from 4 shows them.")
	if out = w.here(t, "dlq", "ls", "--from", "4"); strings.Count(out, "\n") != 3 {
		t.Errorf("from 4:\n%s", out)
	}
	var listed []map[string]any
	if err := json.Unmarshal([]byte(w.here(t, "dlq", "ls", "--consumer", "note-search", "-o", "json")), &listed); err != nil || len(listed) != 2 || listed[0]["number"] != "2" {
		t.Errorf("as JSON: %v, %v", listed, err)
	}
}

func TestWhatAnEventHoldsIsShownToWhomAsksForIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.note.letters[17] = letter(17, "note-search")
	out := w.here(t, "dlq", "show", "17")
	requireParts(t, out, "Consumer   note-search", "From       stream NOTE, message 117", "Parked     2026-11-27T15:00:00Z", "Tries      3", "and ends", "19 bytes, not shown: --payload")
	if strings.Contains(out, "secret") {
		t.Errorf("shown:\n%s", out)
	}
	requireParts(t, w.here(t, "dlq", "show", "17", "--payload"), `Payload    {"title":"a secret"}`)
	var shown struct{ Data []byte }
	if err := json.Unmarshal([]byte(w.here(t, "dlq", "show", "--payload", "-o", "json", "17")), &shown); err != nil || string(shown.Data) != `{"title":"a secret"}` {
		t.Errorf("as JSON: %q, %v", shown.Data, err)
	}
}

func TestDeadLettersAreReplayedAndDiscarded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range uint64(6) {
		w.note.letters[n+1] = letter(n+1, []string{"note-people", "note-search"}[n%2])
	}
	requireParts(t, w.here(t, "dlq", "replay", "1"), "replayed 1: note.v1.NoteChanged 0190a5b4-0000-7000-8000-000000000001, of note-people\n", "noteworks dlq ls")
	requireParts(t, w.here(t, "dlq", "discard", "3"), "discarded 3: note.v1.NoteChanged")
	status, out, complaint := run(t, "dlq", "replay", "1", "5", "--data", w.data)
	requireParts(t, out, "replayed 5")
	requireParts(t, complaint, "1: note has no dead letter of this number.")
	if status != 1 {
		t.Errorf("one of two was not there: status %d", status)
	}
	if out := w.here(t, "dlq", "replay", "--all", "--consumer", "note-search"); strings.Count(out, "replayed") != 3 || len(w.note.letters) != 0 {
		t.Errorf("replayed:\n%s", out)
	}
	if out := w.here(t, "dlq", "replay", "--all"); out != "There are no dead letters.\n" {
		t.Errorf("none: %q", out)
	}
}

func TestTheStatusOfEachOutboxIsALine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requireParts(t, w.here(t, "outbox", "status"),
		"note     NOTE    10.42.0.7   connected  12       1m30s   7         2100   -",
		"user     USER    nobody      away       ?        ?       ?         ?      ?",
		"NOTE    0     21      9          12", "USER    0     4       ?          ?")
	var all []map[string]any
	if err := json.Unmarshal([]byte(w.here(t, "outbox", "status", "-o", "json")), &all); err != nil || len(all) != 2 || all[0]["pending"] != "12" {
		t.Errorf("as JSON: %v, %v", all, err)
	}
}

func TestAStreamIsRebuiltByTheServiceThatWritesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	requireParts(t, w.here(t, "stream", "rebuild", "USER"), "Stream USER: 41 messages were removed")
	status, _, complaint := run(t, "stream", "rebuild", "DLQ", "--data", w.data)
	requireParts(t, complaint, "note writes the stream NOTE and no other.", "user writes the stream USER and no other.")
	if status != 1 {
		t.Errorf("status %d", status)
	}
}

func TestAServiceAnywhereIsAskedWithAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.note.letters[17] = letter(17, "note-search")
	file := filepath.Join(t.TempDir(), "token")
	for content, want := range map[string]string{token + "\n": "", "somebody-elses": "does not let them do that: gateway may not", "expired": "does not take the token"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		status, out, complaint := run(t, "dlq", "ls", "--server", w.url+"/", "--token-file", file)
		requireParts(t, complaint, want)
		if (want == "") != (status == 0) || (want == "") != strings.Contains(out, "note-search") {
			t.Errorf("token %q: status %d, %s", content, status, out)
		}
	}
	other := httptest.NewServer(nil)
	t.Cleanup(other.Close)
	_, _, complaint := run(t, "dlq", "ls", "--server", other.URL, "--token-file", file)
	requireParts(t, complaint, "is it the internal port (8082) of user or note")
	gone := httptest.NewServer(nil)
	gone.Close()
	_, _, complaint = run(t, "dlq", "ls", "--server", gone.URL, "--token-file", file)
	requireParts(t, complaint, "nothing answers at "+gone.URL, "port-forward")
}

func TestAccessIsForTheOwnerAndAsLongAsTheServicesRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	info, err := os.Stat(filepath.Join(w.data, "admin.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	for range 2 { // the second time as after a crash between
		if err := console.Revoke(w.data); err != nil {
			t.Fatal(err)
		}
	}
	status, _, complaint := run(t, "dlq", "ls", "--data", w.data)
	requireParts(t, complaint, "no Noteworks runs on the data directory", "--data", "--server")
	if status != 1 {
		t.Errorf("status %d", status)
	}
}

func TestWhatIsMisspelledIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for line, want := range map[string]string{
		"dlq":                                    `is not something it can do`,
		"dlq list":                               "noteworks dlq ls",
		"dlq ls 17":                              `what is "17"?`,
		"dlq ls --limit 0":                       "--limit 0",
		"dlq ls --since 3h":                      "-since",
		"dlq ls -o yaml":                         "a table or json",
		"dlq ls --server http://localhost:1":     "--token-file",
		"dlq ls --token-file x":                  "--server",
		"dlq ls --server ftp://x --token-file x": "not a URL",
		"dlq show":                               "which one?",
		"dlq show 1 2":                           "one at a time",
		"dlq show first":                         `"first" is not the number`,
		"dlq replay":                             "which one?",
		"dlq replay 1 --all":                     "not both",
		"dlq replay 1 --consumer note-search":    "--all",
		"dlq discard --all":                      "-all",
		"outbox rebuild":                         "noteworks outbox status",
		"stream rebuild":                         "which stream?",
	} {
		status, out, complaint := run(t, append(strings.Fields(line), "--data", w.data)...)
		requireParts(t, complaint, want)
		if status != 2 || out != "" {
			t.Errorf("%s: status %d, printed %q", line, status, out)
		}
	}
	status, _, help := run(t, "dlq", "replay", "--help")
	requireParts(t, help, "have them handled once more", "-all", "-data")
	if status != 0 {
		t.Errorf("help: status %d", status)
	}
	if !console.Knows([]string{"stream", "x"}) || console.Knows([]string{"--port", "0"}) || console.Knows(nil) {
		t.Error("it does not know its words")
	}
}

var _ adminv1connect.EventServiceHandler = (*desk)(nil)
