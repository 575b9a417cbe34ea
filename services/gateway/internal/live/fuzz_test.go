package live

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"testing"
)

// FuzzClientFrame: what is taken is one JSON object with a type, and reads the same when it is written again.
func FuzzClientFrame(f *testing.F) {
	for _, seed := range []string{
		`{"type":"auth","token":"a.b.c","since":"AQ"}`, `{"type":"x"}`, `{}`, `[]`, `null`, `"auth"`, `{"type":1}`, `{"type":"auth","token":null}`, "{\"type\":\"\xff\"}",
		`{"type":"auth","type":"x"}`, `{"TYPE":"auth"}`, ``, `{"type":"auth"`, `{"type":"auth"}{}`, "\ufeff{}", `{"type":"auth","token":{"a":[[[[]]]]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := ParseClientFrame(b)
		if err != nil {
			return
		}
		if frame.Type == "" || !json.Valid(b) || len(b) > MaxClientFrame || bytes.TrimLeft(b, " \t\r\n")[0] != '{' {
			t.Fatalf("%q was taken as %+v", b, frame)
		}
		again, err := json.Marshal(frame)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > MaxClientFrame { // escapes are longer than what they stand for
			return
		}
		if back, err := ParseClientFrame(again); err != nil || back != frame {
			t.Fatalf("%q is %+v, and written again %+v, %v", b, frame, back, err)
		}
	})
}

// FuzzLiveCursor: a cursor has one spelling, and no other text is one. The sum is put right, so that what is below it is reached.
func FuzzLiveCursor(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0}, "")
	f.Add([]byte{1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0}, "")
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0}, "")
	f.Add([]byte{}, Cursor{{1, 2, 3, 4}, {5, 6, 7, 1 << 40}}.String())
	f.Fuzz(func(t *testing.T, body []byte, text string) {
		for _, text := range []string{text, base64.RawURLEncoding.EncodeToString(appendSum(bytes.Clone(body)))} {
			c, err := ParseCursor(text)
			if err == nil && c.String() != text {
				t.Fatalf("%q was taken, and is %q", text, c)
			}
			for _, place := range c {
				for _, position := range place {
					if position < 0 {
						t.Fatalf("%q is at %v", text, c)
					}
				}
			}
		}
	})
}
