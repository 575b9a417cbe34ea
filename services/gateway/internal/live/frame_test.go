package live_test

import (
	"strings"
	"testing"

	"noteworks.dev/services/gateway/internal/live"
	"noteworks.dev/services/internal/errs"
)

func TestClientFrames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   string
		want live.ClientFrame
		code string
	}{
		"auth":                  {`{"type":"auth","token":"t"}`, live.ClientFrame{Type: "auth", Token: "t"}, ""},
		"auth with since":       {`{"type":"auth","token":"t","since":"c"}`, live.ClientFrame{Type: "auth", Token: "t", Since: "c"}, ""},
		"auth with more":        {`{"type":"auth","token":"t","colour":[1]}`, live.ClientFrame{Type: "auth", Token: "t"}, ""},
		"auth without token":    {`{"type":"auth"}`, live.ClientFrame{Type: "auth"}, ""},
		"auth, token no text":   {`{"type":"auth","token":{}}`, live.ClientFrame{}, live.CodeMalformedFrame},
		"auth, since no text":   {`{"type":"auth","token":"t","since":7}`, live.ClientFrame{}, live.CodeMalformedFrame},
		"unknown type":          {`{"type":"presence","token":{},"note":">"}`, live.ClientFrame{Type: "presence"}, ""},
		"empty":                 {``, live.ClientFrame{}, live.CodeMalformedFrame},
		"no object":             {`"auth"`, live.ClientFrame{}, live.CodeMalformedFrame},
		"null":                  {`null`, live.ClientFrame{}, live.CodeMalformedFrame},
		"a list":                {`[]`, live.ClientFrame{}, live.CodeMalformedFrame},
		"no type":               {`{"token":"t"}`, live.ClientFrame{}, live.CodeMalformedFrame},
		"type no text":          {`{"type":1}`, live.ClientFrame{}, live.CodeMalformedFrame},
		"a key twice":           {`{"type":"auth","token":"t","token":"u"}`, live.ClientFrame{}, live.CodeMalformedFrame},
		"a key in capitals":     {`{"TYPE":"auth","token":"t"}`, live.ClientFrame{}, live.CodeMalformedFrame},
		"no UTF-8":              {"{\"type\":\"auth\",\"token\":\"\xff\"}", live.ClientFrame{}, live.CodeMalformedFrame},
		"two objects":           {`{"type":"auth"}{"type":"auth"}`, live.ClientFrame{}, live.CodeMalformedFrame},
		"cut off":               {`{"type":"auth","token":"t`, live.ClientFrame{}, live.CodeMalformedFrame},
		"a thousand levels":     {strings.Repeat(`{"type":`, 400), live.ClientFrame{}, live.CodeMalformedFrame},
		"a byte over the limit": {`{"type":"` + strings.Repeat("x", live.MaxClientFrame-10) + `"}`, live.ClientFrame{}, live.CodeFrameTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := live.ParseClientFrame([]byte(c.in))
			if got != c.want || err == nil && c.code != "" || err != nil && errs.CodeOf(err) != c.code {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}
