// Package api_test keeps the contracts' promise that an event written once can be read for ever.
package api_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "noteworks.dev/services/api/gen/note/v1"      // registers its messages
	_ "noteworks.dev/services/api/gen/user/v1"      // registers its messages
	_ "noteworks.dev/services/api/gen/workspace/v1" // registers its messages
)

const samples = "testdata"

// eventTypes are the top-level messages of every events.proto that are sent on their own; one that only stands in others is no event.
func eventTypes(t *testing.T) map[protoreflect.FullName]protoreflect.MessageType {
	t.Helper()
	types := map[protoreflect.FullName]protoreflect.MessageType{}
	protoregistry.GlobalTypes.RangeMessages(func(m protoreflect.MessageType) bool {
		d := m.Descriptor()
		if filepath.Base(d.ParentFile().Path()) == "events.proto" && d.Parent() == d.ParentFile() {
			types[d.FullName()] = m
		}
		return true
	})
	for _, m := range types {
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			if part := fields.Get(i).Message(); part != nil {
				delete(types, part.FullName())
			}
		}
	}
	if len(types) == 0 {
		t.Fatal("no events are registered")
	}
	return types
}

// sampleFiles are the samples of one event: <full name>.v<n>.json, the version of the sample growing whenever the event's shape does.
func sampleFiles(t *testing.T, name protoreflect.FullName) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(samples, string(name)+".v*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestEveryEventHasASampleThatDecodes(t *testing.T) {
	t.Parallel()
	for name, m := range eventTypes(t) {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			files := sampleFiles(t, name)
			if len(files) == 0 {
				t.Fatalf("there is no %s/%s.v1.json", samples, name)
			}
			set := map[protoreflect.Name]bool{}
			for _, file := range files {
				for _, field := range decode(t, file, m) {
					set[field] = true
				}
			}
			fields := m.Descriptor().Fields()
			for i := range fields.Len() {
				if f := fields.Get(i).Name(); !set[f] {
					t.Errorf("no sample sets %s", f)
				}
			}
		})
	}
}

// decode reads a sample strictly, requires that writing it again says the same, and answers the fields it sets.
func decode(t *testing.T, file string, m protoreflect.MessageType) []protoreflect.Name {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	msg := m.New()
	if err := (protojson.UnmarshalOptions{DiscardUnknown: false}).Unmarshal(text, msg.Interface()); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	again, err := protojson.Marshal(msg.Interface())
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if have, want := canonical(t, again), canonical(t, text); !bytes.Equal(have, want) {
		t.Errorf("%s reads\n%s\nand is written as\n%s", file, want, have)
	}
	var set []protoreflect.Name
	msg.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		set = append(set, f.Name())
		return true
	})
	return set
}

// canonical is JSON with sorted members and no spaces.
func canonical(t *testing.T, text []byte) []byte {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return sorted
}

func TestEverySampleIsAnEvents(t *testing.T) {
	t.Parallel()
	types := eventTypes(t)
	files, err := filepath.Glob(filepath.Join(samples, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name, version, ok := cutLast(strings.TrimSuffix(filepath.Base(file), ".json"), ".v")
		if _, known := types[protoreflect.FullName(name)]; !ok || !known || version == "" {
			t.Errorf("%s is no event's: an event that was published may not be renamed or removed", file)
		}
	}
}

func TestEventsAreNamedInThePast(t *testing.T) {
	t.Parallel()
	for name := range eventTypes(t) {
		if !strings.HasSuffix(string(name), "ed") {
			t.Errorf("%s does not say what happened", name)
		}
	}
}

// TestNoEventCarriesAnAddress: events go to every service and stay in streams; who needs an address asks for it.
func TestNoEventCarriesAnAddress(t *testing.T) {
	t.Parallel()
	for name, m := range eventTypes(t) {
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			if strings.Contains(string(fields.Get(i).Name()), "email") {
				t.Errorf("%s has %s", name, fields.Get(i).Name())
			}
		}
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
