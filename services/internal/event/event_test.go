package event_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"noteworks.dev/services/internal/event"
)

const workspace = "0190a5b4-0000-7000-8000-000000000001"

func TestAnEventIsTheMessageItWasMadeOf(t *testing.T) {
	t.Parallel()
	e, err := event.New(workspace, "note-1", wrapperspb.String("hello"), "ann", "bob")
	if err != nil {
		t.Fatal(err)
	}
	if want := "ws." + workspace + ".google.protobuf.StringValue"; e.Subject() != want {
		t.Errorf("subject %s, want %s", e.Subject(), want)
	}
	m, err := event.Decode[*wrapperspb.StringValue](e)
	if err != nil || m.GetValue() != "hello" {
		t.Errorf("decoded %v, %v", m, err)
	}
	if _, err := event.Decode[*structpb.Struct](e); !errors.Is(err, event.ErrMalformed) {
		t.Errorf("decoded as another message: %v", err)
	}
}

func TestTheSameMessageIsTheSameBytes(t *testing.T) {
	t.Parallel()
	msg, err := structpb.NewStruct(map[string]any{"a": 1, "b": []any{"x", true}})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		e, err := event.New(workspace, "k", msg)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(string(e.Data), " \n") {
			t.Fatalf("data is not compact: %s", e.Data)
		}
	}
}

func TestBadEventsAreRefused(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func() (event.Event, error){
		"wildcard workspace":   func() (event.Event, error) { return event.New("*", "k", wrapperspb.String("")) },
		"deep workspace":       func() (event.Event, error) { return event.New("a.b", "k", wrapperspb.String("")) },
		"no workspace":         func() (event.Event, error) { return event.New("", "k", wrapperspb.String("")) },
		"upper-case workspace": func() (event.Event, error) { return event.New(strings.ToUpper(workspace), "k", wrapperspb.String("")) },
		"no key":               func() (event.Event, error) { return event.New(workspace, "", wrapperspb.String("")) },
		"comma in audience":    func() (event.Event, error) { return event.New(workspace, "k", wrapperspb.String(""), "a,b") },
		"empty in audience":    func() (event.Event, error) { return event.New(workspace, "k", wrapperspb.String(""), "") },
		"header in audience":   func() (event.Event, error) { return event.New(workspace, "k", wrapperspb.String(""), "a\r\nce-id: x") },
	} {
		if _, err := make(); !errors.Is(err, event.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCursorsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	c := event.Cursor{17, 4, 0, 33}
	if c.String() != "17,4,0,33" {
		t.Errorf("written as %s", c)
	}
	if back, err := event.ParseCursor(c.String()); err != nil || back != c {
		t.Errorf("read as %v, %v", back, err)
	}
	if !c.Covers(0, 17) || c.Covers(0, 18) || c.Covers(9, 0) {
		t.Error("covers what it does not, or not what it does")
	}
	for _, bad := range []string{"1", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1,2,3,-4", ",,,", "1,2,3,99999999999999999999"} {
		if _, err := event.ParseCursor(bad); !errors.Is(err, event.ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestKeysSpreadOverLanesAndStay(t *testing.T) {
	t.Parallel()
	var hit [event.Lanes]int
	for i := range 1000 {
		key := workspace[:len(workspace)-3] + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		hit[event.LaneOf(key)]++
	}
	for lane, n := range hit {
		if n < 150 {
			t.Errorf("lane %d got %d of 1000 keys", lane, n)
		}
	}
	if event.LaneOf("0190a5b4-0000-7000-8000-000000000001") != 3 {
		t.Error("the lane of a key must never change")
	}
}
