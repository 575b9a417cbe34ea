package systemtest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// wrong is one place in a message and what stands there instead of what should.
type wrong struct {
	at        []string // the names of fields, keys of maps and firstItem, from the outside in
	what, raw string
	// odd is of the right type, and no more than strange.
	odd bool
}

// firstItem is the place of a list's first item.
const firstItem = "[0]"

func (w wrong) String() string { return strings.Join(w.at, ".") + " as " + w.what }

// wrongs breaks every field of m and of the messages inside it, in lists and maps, too. A message inside itself is broken once.
func wrongs(m protoreflect.MessageDescriptor, at ...string) []wrong { return wrongsWithin(m, nil, at) }

func wrongsWithin(m protoreflect.MessageDescriptor, around []protoreflect.FullName, at []string) []wrong {
	if slices.Contains(around, m.FullName()) {
		return nil
	}
	around = append(slices.Clone(around), m.FullName())
	all := shapes(append(slices.Clone(at), "nobodyKnows"), "1")
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		here := append(slices.Clone(at), f.JSONName())
		switch {
		case f.IsMap():
			all = append(all, shapes(here, "1", "true", `"x"`, "[]")...)
			all = append(all, wrongValues(f.MapValue(), around, append(slices.Clone(here), "key"))...)
		case f.IsList():
			all = append(all, shapes(here, "1", "true", `"x"`, "{}", "[null]", "[[]]")...)
			all = append(all, wrongValues(f, around, append(slices.Clone(here), firstItem))...)
		default:
			all = append(all, wrongValues(f, around, here)...)
		}
	}
	return all
}

// wrongValues are for one value of f's type.
func wrongValues(f protoreflect.FieldDescriptor, around []protoreflect.FullName, at []string) []wrong {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if f.Message().ParentFile().Package() == "google.protobuf" { // these have forms of their own in JSON
			return nil
		}
		return append(shapes(at, "1", "true", `"x"`, "[]", `{"`+f.Message().Fields().Get(0).JSONName()+`":[[]]}`), wrongsWithin(f.Message(), around, at)...)
	case protoreflect.StringKind:
		return append(shapes(at, "1", "true", "{}", "[[]]", `"\ud800"`, "\"\xff\"", `"a`), odd(at, oddTexts())...)
	case protoreflect.BytesKind:
		return shapes(at, "1", "true", "{}", "[[]]", `"%"`)
	case protoreflect.BoolKind:
		return shapes(at, "1", `"x"`, `"true"`, "{}", "[[]]")
	case protoreflect.EnumKind:
		return append(shapes(at, "true", "{}", "[[]]", "1.5", "1e100", `"NOBODY_KNOWS"`), odd(at, map[string]string{"a number nobody knows": "99", "a number below": "-1"})...)
	default:
		return append(shapes(at, "true", `"x"`, `""`, "{}", "[[]]", "1.5", "1e100", "NaN", "0x1"), odd(at, map[string]string{"a number below": "-1", "the highest": "2147483647"})...)
	}
}

// shapes are values that have not the type.
func shapes(at []string, raw ...string) []wrong {
	all := make([]wrong, len(raw))
	for i, r := range raw {
		all[i] = wrong{at: at, what: r, raw: r}
	}
	return all
}

func odd(at []string, raw map[string]string) []wrong {
	var all []wrong
	for what, r := range raw {
		all = append(all, wrong{at: at, what: what, raw: r, odd: true})
	}
	return all
}

// oddTexts are text, and nothing that an id, an address or a name of ours is.
func oddTexts() map[string]string {
	return map[string]string{
		"nothing": `""`, "a word": `"x"`, "a space": `" "`, "NUL": `"\u0000"`, "a line": `"a\nb"`, "a way up": `"../.."`, "a wildcard": `"*"`, "all that follows": `">"`, "a subject": `"a.b"`,
		"SQL": `"' or '1'='1"`, "10 kB": `"` + strings.Repeat("a", 10<<10) + `"`, "a direction": `"\u202ea"`, "capitals": `"0190A5B4-0000-7000-8000-0000000000FF"`,
		"braces": `"{0190a5b4-0000-7000-8000-0000000000ff}"`,
	}
}

// in is good with w in its place: what is missing on the way there is made.
func (w wrong) in(t *testing.T, good map[string]any) string {
	t.Helper()
	const here = "\x01here\x01"
	return strings.Replace(inJSON(t, with(good, w.at, here)), inJSON(t, here), w.raw, 1)
}

func inJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// isNoText reports whether no text of ours has what stands there.
func (w wrong) isNoText() bool {
	return strings.Contains(w.raw, `\u0000`) || strings.Contains(w.raw, `\n`) || len(w.raw) > 10<<10
}

func with(node any, at []string, leaf any) any {
	if len(at) == 0 {
		return leaf
	}
	if at[0] == firstItem {
		items, _ := node.([]any) // of none, one is made
		items = append(slices.Clone(items), nil)
		items[0] = with(items[0], at[1:], leaf)
		return slices.DeleteFunc(items, func(item any) bool { return item == nil })
	}
	fields, _ := node.(map[string]any) // likewise
	fields = maps.Clone(fields)
	if fields == nil {
		fields = map[string]any{}
	}
	fields[at[0]] = with(fields[at[0]], at[1:], leaf)
	return fields
}

// messages are of the kinds that the proto files may have one day: lists and maps of messages, and a message inside itself.
const messages = `
name: "test.proto" package: "test" syntax: "proto3"
message_type {
  name: "Outer"
  field { name: "items" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".test.Item" json_name: "items" }
  field { name: "by_name" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".test.Outer.ByNameEntry" json_name: "byName" }
  field { name: "again" number: 3 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".test.Outer" json_name: "again" }
  nested_type {
    name: "ByNameEntry" options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "key" }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".test.Item" json_name: "value" }
  }
}
message_type {
  name: "Item"
  field { name: "texts" number: 1 label: LABEL_REPEATED type: TYPE_STRING json_name: "texts" }
  field { name: "count" number: 2 label: LABEL_OPTIONAL type: TYPE_INT32 json_name: "count" }
}`

func TestEveryPlaceOfAMessageIsReached(t *testing.T) {
	t.Parallel()
	var described descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(messages), &described); err != nil {
		t.Fatal(err)
	}
	file, err := protodesc.NewFile(&described, nil)
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, w := range wrongs(file.Messages().ByName("Outer")) {
		places = append(places, strings.Join(w.at, "."))
	}
	slices.Sort(places)
	want := []string{
		"again", "byName", "byName.key", "byName.key.count", "byName.key.nobodyKnows", "byName.key.texts", "byName.key.texts.[0]",
		"items", "items.[0]", "items.[0].count", "items.[0].nobodyKnows", "items.[0].texts", "items.[0].texts.[0]", "nobodyKnows",
	}
	if got := slices.Compact(places); !slices.Equal(got, want) {
		t.Errorf("reached are %v, not %v", got, want)
	}
	for _, c := range []struct {
		at   []string
		good map[string]any
		want string
	}{
		{[]string{"a"}, map[string]any{"a": "x", "b": 1}, `{"a":@,"b":1}`},
		{[]string{"a", "b"}, nil, `{"a":{"b":@}}`},
		{[]string{"a", firstItem}, map[string]any{"a": []any{"x", "y"}}, `{"a":[@,"y"]}`},
		{[]string{"a", firstItem, "b"}, map[string]any{"a": []any{map[string]any{"b": 1, "c": 2}}}, `{"a":[{"b":@,"c":2}]}`},
		{[]string{"a", "key", firstItem}, nil, `{"a":{"key":[@]}}`},
	} {
		if got := (wrong{at: c.at, raw: "@"}).in(t, c.good); got != c.want {
			t.Errorf("%v in %v: %s, not %s", c.at, c.good, got, c.want)
		}
	}
}
