package systemtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	_ "noteworks.dev/services/api/gen/admin/v1" // registers its descriptors
	_ "noteworks.dev/services/api/gen/note/v1"  // likewise
	_ "noteworks.dev/services/api/gen/user/v1"  // likewise
)

// procedure is one method of the proto files at the internal port that serves it.
type procedure struct {
	protoreflect.MethodDescriptor
	url string
	// callers are the tokens of those who may call it, others those of the rest.
	callers, others map[string]string
}

// TestNoProcedureTakesABadCall sends to every procedure of the proto files what it must refuse, on the internal ports.
func TestNoProcedureTakesABadCall(t *testing.T) {
	t.Parallel()
	a := attack(t)
	for _, p := range a.procedures() {
		if len(p.callers) == 0 {
			t.Errorf("nobody may call %s", p.url)
		}
		strangers := map[string]string{"nobody": "", "a word": "x", "a person's token": a.ann.Token(), "a token too long": strings.Repeat("x", 1<<14)}
		for name, token := range p.callers {
			strangers["with more after the token of "+name] = token + "x"
		}
		for who, token := range strangers {
			a.requireCode(p, who, a.ask(p, token, "application/json", "{}", nil), "unauthenticated")
		}
		for who, token := range p.others {
			a.requireCode(p, who, a.ask(p, token, "application/json", "{}", nil), "permission_denied")
		}
		for _, token := range p.callers {
			if p.ParentFile().Package() != "admin.v1" { // where asking for nothing is asking for everything; it has tests of its own
				a.attackProcedure(p, token)
			}
		}
	}
	a.requireUnharmed()
}

// attackProcedure comes with a token that is good.
func (a *attacked) attackProcedure(p procedure, token string) {
	a.t.Helper()
	a.attackFields(p, token)
	for what, body := range map[string]string{
		"nothing": "", "half": "{", "a list": "[]", "null": "null", "10,000 levels": strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000), "no UTF-8": "{\"workspaceId\":\"\xff\"}",
		"two": "{}{}", "NaN": "NaN", "a BOM": "\ufeff{}",
	} {
		a.requireCode(p, what, a.ask(p, token, "application/json", body, nil), "invalid_argument")
	}
	a.requireCode(p, "no message", a.ask(p, token, "application/proto", "\xff\xff\xff\xff", nil), "invalid_argument")
	a.requireCode(p, "no gzip", a.ask(p, token, "application/json", "{}", http.Header{"Content-Encoding": {"gzip"}}), "invalid_argument")
	a.requireCode(p, "an encoding nobody knows", a.ask(p, token, "application/json", "{}", http.Header{"Content-Encoding": {"br"}}), "unimplemented")
	a.requireCode(p, "a gzip bomb", a.ask(p, token, "application/json", packed(a.t, 40<<20)["gzip"], http.Header{"Content-Encoding": {"gzip"}}), "resource_exhausted")
	a.requireCode(p, "over 1 MiB", a.ask(p, token, "application/json", `{"workspaceId":"`+strings.Repeat("x", 1<<20)+`"}`, nil), "resource_exhausted")
	a.requireCode(p, "a timeout that is none", a.ask(p, token, "application/json", "{}", http.Header{"Connect-Timeout-Ms": {"soon"}}), "invalid_argument")
	a.requireCode(p, "a protocol of tomorrow", a.ask(p, token, "application/json", "{}", http.Header{"Connect-Protocol-Version": {"9"}}), "invalid_argument")
	for _, kind := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", ""} {
		if got := a.ask(p, token, kind, "{}", nil); got.status != http.StatusUnsupportedMediaType {
			a.t.Errorf("%s as %q: %d %.200s", p.url, kind, got.status, got.text)
		}
	}
}

// attackFields breaks each place of a good message, and cuts one off after each of its bytes.
func (a *attacked) attackFields(p procedure, token string) {
	a.t.Helper()
	refusals := []string{"invalid_argument", "not_found", "failed_precondition", "already_exists"}
	if got := a.ask(p, token, "application/json", inJSON(a.t, a.goodMessage(p)), nil); got.status != http.StatusOK {
		a.requireCode(p, "a good message about what is not there", got, "not_found")
	}
	for _, w := range wrongs(p.Input()) {
		got := a.ask(p, token, "application/json", w.in(a.t, a.goodMessage(p)), nil)
		switch {
		case !w.odd:
			a.requireCode(p, w.String(), got, "invalid_argument")
		case got.status != http.StatusOK || w.isNoText() || strings.HasSuffix(w.at[len(w.at)-1], "Id"):
			a.requireCode(p, w.String(), got, refusals...)
		}
	}
	message := dynamicpb.NewMessage(p.Input())
	a.must(protojson.Unmarshal([]byte(inJSON(a.t, a.goodMessage(p))), message))
	wire, err := proto.Marshal(message)
	a.must(err)
	for n := range wire {
		if got := a.ask(p, token, "application/proto", string(wire[:n]), nil); got.status != http.StatusOK {
			a.requireCode(p, fmt.Sprintf("%d of %d bytes", n, len(wire)), got, refusals...)
		}
	}
}

// goodMessage is a new one each time, and nobody's business: what it changes is a workspace of its own.
func (a *attacked) goodMessage(p procedure) map[string]any {
	a.t.Helper()
	own := uuid.NewString()
	in := a.claims(a.ann.Token()).WorkspaceID
	good := map[protoreflect.Name]map[string]any{
		"ApplyWorkspace": {
			"workspaceId": own, "slug": "w-" + own, "title": "Own", "host": own + ".example.org", "administrator": "team",
			"owner": map[string]any{"email": "owner@example.org", "name": "Owner", "initialPassword": password},
			"policy": map[string]any{
				"signUp": "SIGN_UP_INVITATION", "emailDomains": []any{"example.org"}, "limits": map[string]any{"members": 5, "notes": 5, "bytes": "5", "requestsPerMinute": 5},
				"retention": map[string]any{"trashDays": 5, "revisionDays": 5},
			},
		},
		"GetWorkspace": {"workspaceId": in}, "ReleaseWorkspace": {"workspaceId": own}, "DeleteWorkspace": {"workspaceId": own}, "GetUsage": {"workspaceId": in},
		"FindPersonByEmail": {"workspaceId": in, "email": a.bob.User().Email}, "GetPerson": {"workspaceId": in, "userId": a.bob.User().ID},
	}[p.Name()]
	if good == nil {
		a.t.Fatalf("the test has no message for %s", p.FullName())
	}
	return good
}

// procedures are all of the proto files, with who may call them: that is found out, by a call of nothing.
func (a *attacked) procedures() []procedure {
	a.t.Helper()
	ports := map[string]string{"user": a.settings.of["note"]["USER_RPC_URL"], "note": a.settings.of["user"]["NOTE_RPC_URL"]}
	owners := map[protoreflect.FullName][]string{"user.v1": {"user"}, "workspace.v1": {"user"}, "note.v1": {"note"}, "admin.v1": {"user", "note"}}
	var all []procedure
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				for _, owner := range owners[file.Package()] {
					all = append(all, a.procedure(methods.Get(j), ports[owner], a.settings.of[owner]["RPC_CALLERS"]))
				}
			}
		}
		return true
	})
	if len(all) < 15 {
		a.t.Fatalf("only %d procedures found", len(all))
	}
	return all
}

func (a *attacked) procedure(m protoreflect.MethodDescriptor, port, callers string) procedure {
	a.t.Helper()
	p := procedure{m, port + "/" + string(m.Parent().FullName()) + "/" + string(m.Name()), map[string]string{}, map[string]string{}}
	for entry := range strings.SplitSeq(callers, ",") {
		name, token, _ := strings.Cut(entry, "=")
		if a.ask(p, token, "application/json", "{}", nil).status == http.StatusForbidden {
			p.others[name] = token
		} else {
			p.callers[name] = token
		}
	}
	return p
}

// ask is one call in Connect's protocol.
func (a *attacked) ask(p procedure, token, contentType, body string, header http.Header) answered {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, p.url, bytes.NewReader([]byte(body)))
	a.must(err)
	maps.Copy(req.Header, header)
	req.Header.Set("Content-Type", contentType)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := loopback.RoundTrip(req)
	a.must(err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	a.must(err)
	return answered{resp.StatusCode, resp.Header, string(text)}
}

// requireCode wants a Connect error of one of the codes, and with nothing in it that is not the caller's business.
func (a *attacked) requireCode(p procedure, what string, got answered, codes ...string) {
	a.t.Helper()
	var e struct{ Code, Message string }
	err := json.Unmarshal([]byte(got.text), &e)
	switch {
	case err != nil || got.status == http.StatusOK || !slices.Contains(codes, e.Code):
		a.t.Errorf("%s: %s: answered %d %.300s, not %v", p.url, what, got.status, got.text, codes)
	case insides.MatchString(e.Message):
		a.t.Errorf("%s: %s: tells of its insides by %q: %s", p.url, what, insides.FindString(e.Message), e.Message)
	}
}
