package rpc_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/descriptorpb"

	"noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/internal/spantest"
)

func TestJSONIsTakenAtItsWord(t *testing.T) {
	t.Parallel()
	type field = descriptorpb.FieldDescriptorProto // it has a text, a number and an enum
	callers, err := rpc.NewStaticCallers("note=" + noteKey)
	if err != nil {
		t.Fatal(err)
	}
	s := rpc.NewServer(callers, newTelemetry(t, "user", io.Discard, spantest.New()))
	s.Mount(change, connect.NewUnaryHandler(change, func(_ context.Context, r *connect.Request[field]) (*connect.Response[field], error) {
		return connect.NewResponse(r.Msg), nil
	}, s.Options()...))
	s.Allow("note", change)
	const whole = `{"name":"x","number":1,"label":"LABEL_REPEATED"}`
	for body, wrong := range map[string]string{
		whole:                        "",
		`{}`:                         "",
		`{"nam":"x"}`:                "nam",
		`{"label":"LABEL_REPEETED"}`: "LABEL_REPEETED",
		`{"number":1,"number":2}`:    "number",
		``:                           "JSON",
	} {
		for _, kind := range []string{"application/json", "application/json; charset=utf-8"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, change, strings.NewReader(body))
			r.Header = http.Header{"Content-Type": {kind}, "Authorization": {"Bearer " + noteKey}}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			answer := strings.ReplaceAll(w.Body.String(), " ", "")
			switch {
			case wrong == "" && (w.Code != http.StatusOK || answer != body):
				t.Errorf("%s as %s: %d %s", body, kind, w.Code, answer)
			case wrong != "" && (!strings.Contains(answer, `"invalid_argument"`) || !strings.Contains(answer, wrong)):
				t.Errorf("%s as %s: %d %s", body, kind, w.Code, answer)
			}
		}
	}
}
