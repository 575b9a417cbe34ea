package systemtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// object keeps its members in order, so that a test can break one of them.
type object []member

type member struct {
	name  string
	value any
}

func (o object) String() string {
	var parts []string
	for _, m := range o {
		value, _ := json.Marshal(m.value) // plain values
		parts = append(parts, fmt.Sprintf("%q:%s", m.name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// with is o with raw JSON in the place of a member's value.
func (o object) with(name, raw string) string {
	var parts []string
	for _, m := range slices.Concat(o.without(name), object{{name, json.RawMessage("null")}}) {
		value, _ := json.Marshal(m.value)
		if m.name == name {
			value = []byte(raw)
		}
		parts = append(parts, fmt.Sprintf("%q:%s", m.name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (o object) without(name string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == name })
}

const password = "correct horse battery staple"

// goodBodies are acceptable; an operation that takes a body must be in the list.
func goodBodies(t *testing.T, all []operation) map[string]object {
	t.Helper()
	good := map[string]object{
		"register":         {{"email", "eve@example.com"}, {"name", "Eve"}, {"password", password}},
		"login":            {{"email", "bob@example.com"}, {"password", password}},
		"updateMe":         {{"name", "Renamed"}, {"currentPassword", password}, {"newPassword", "another horse battery staple"}},
		"createInvitation": {{"email", "carol@example.com"}},
		"createNote":       {{"title", "New"}, {"body", "text"}, {"tags", []string{"a"}}},
		"updateNote":       {{"title", "Changed"}, {"body", "text"}, {"tags", []string{"a"}}},
		"shareNote":        {{"role", "viewer"}},
	}
	for _, o := range all {
		if (o.body != nil) != (good[o.id] != nil) {
			t.Fatalf("%s: the test has no body for it, or one too many", o.id)
		}
		for _, m := range good[o.id] {
			if o.body.Properties[m.name] == nil {
				t.Fatalf("%s: the test's body has %s, the file's has not", o.id, m.name)
			}
		}
	}
	return good
}
