package systemtest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// operation is one of the OpenAPI files, without references.
type operation struct {
	id, method, path string
	// by is what lets somebody in: accessToken, refreshCookie, or nothing at all.
	by     string
	params []parameter
	body   *schema // nil if it takes none
	answer *schema // of success, nil if it has none
}

type parameter struct {
	Ref    string  `yaml:"$ref"`
	Name   string  `yaml:"name"`
	In     string  `yaml:"in"`
	Schema *schema `yaml:"schema"`
}

// schema is as much of JSON Schema as the files use.
type schema struct {
	Ref        string             `yaml:"$ref"`
	Type       any                `yaml:"type"`
	Enum       []string           `yaml:"enum"`
	MinLength  *int               `yaml:"minLength"`
	MaxLength  *int               `yaml:"maxLength"`
	MaxItems   *int               `yaml:"maxItems"`
	Minimum    *int               `yaml:"minimum"`
	Maximum    *int               `yaml:"maximum"`
	Items      *schema            `yaml:"items"`
	Properties map[string]*schema `yaml:"properties"`
	Required   []string           `yaml:"required"`
	AllOf      []*schema          `yaml:"allOf"`
}

type media map[string]struct {
	Schema *schema `yaml:"schema"`
}

// json is the schema of application/json, nil if there is none.
func (m media) json() *schema { return m["application/json"].Schema }

type described struct {
	ID          string                 `yaml:"operationId"`
	Security    *[]map[string][]string `yaml:"security"`
	Parameters  []parameter            `yaml:"parameters"`
	RequestBody struct {
		Content media `yaml:"content"`
	} `yaml:"requestBody"`
	Responses map[string]struct {
		Content media `yaml:"content"`
	} `yaml:"responses"`
}

type pathItem struct {
	Parameters []parameter `yaml:"parameters"`
	Get        *described  `yaml:"get"`
	Put        *described  `yaml:"put"`
	Post       *described  `yaml:"post"`
	Patch      *described  `yaml:"patch"`
	Delete     *described  `yaml:"delete"`
}

func (p pathItem) operations() map[string]*described {
	all := map[string]*described{"GET": p.Get, "PUT": p.Put, "POST": p.Post, "PATCH": p.Patch, "DELETE": p.Delete}
	maps.DeleteFunc(all, func(_ string, d *described) bool { return d == nil })
	return all
}

type openAPI struct {
	Security   []map[string][]string `yaml:"security"`
	Paths      map[string]pathItem   `yaml:"paths"`
	Components struct {
		Parameters map[string]parameter `yaml:"parameters"`
		Schemas    map[string]*schema   `yaml:"schemas"`
	} `yaml:"components"`
}

// operations reads all of them, in the same order each time.
func operations(t *testing.T) []operation {
	t.Helper()
	const folder = "../api/openapi"
	files := map[string]openAPI{}
	for _, name := range []string{"common.yaml", "user.yaml", "note.yaml"} {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		var doc openAPI
		if err := yaml.Unmarshal(data, &doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		files[name] = doc
	}
	var all []operation
	for _, name := range slices.Sorted(maps.Keys(files)) {
		in := resolver{t, files, name}
		for _, path := range slices.Sorted(maps.Keys(files[name].Paths)) {
			item := files[name].Paths[path]
			for _, method := range slices.Sorted(maps.Keys(item.operations())) {
				all = append(all, in.operation(method, path, item))
			}
		}
	}
	if len(all) < 30 {
		t.Fatalf("only %d operations found in the OpenAPI files", len(all))
	}
	return all
}

// resolver follows the references of one file.
type resolver struct {
	t     *testing.T
	files map[string]openAPI
	in    string
}

func (r resolver) operation(method, path string, item pathItem) operation {
	d := item.operations()[method]
	o := operation{id: d.ID, method: method, path: path, by: access(r.files[r.in].Security)}
	if d.Security != nil {
		o.by = access(*d.Security)
	}
	for _, p := range slices.Concat(item.Parameters, d.Parameters) {
		o.params = append(o.params, r.parameter(p))
	}
	o.body = r.schema(d.RequestBody.Content.json())
	for status, response := range d.Responses {
		if strings.HasPrefix(status, "2") {
			o.answer = r.schema(response.Content.json())
		}
	}
	return o
}

func access(security []map[string][]string) string {
	for _, s := range security {
		for name := range s {
			return name
		}
	}
	return ""
}

// follow is where ref leads: the file, and the name of the component of that kind.
func (r resolver) follow(ref, kind string) (resolver, string) {
	r.t.Helper()
	file, name, ok := strings.Cut(ref, "#/components/"+kind+"/")
	if !ok {
		r.t.Fatalf("%s: %s is no reference that this test can follow", r.in, ref)
	}
	if file != "" {
		r.in = file
	}
	return r, name
}

func (r resolver) parameter(p parameter) parameter {
	if p.Ref != "" {
		to, name := r.follow(p.Ref, "parameters")
		return to.parameter(r.files[to.in].Components.Parameters[name])
	}
	if p.Schema = r.schema(p.Schema); p.Name == "" || p.Schema == nil {
		r.t.Fatalf("%s: a parameter without a name or a schema: %+v", r.in, p)
	}
	return p
}

func (r resolver) schema(s *schema) *schema {
	if s == nil {
		return nil
	}
	if s.Ref != "" {
		to, name := r.follow(s.Ref, "schemas")
		return to.schema(r.files[to.in].Components.Schemas[name])
	}
	plain := *s
	plain.Items = r.schema(s.Items)
	plain.Properties = map[string]*schema{}
	for _, part := range s.AllOf {
		whole := r.schema(part)
		maps.Copy(plain.Properties, whole.Properties)
		plain.Required = slices.Concat(plain.Required, whole.Required)
	}
	for name, p := range s.Properties {
		plain.Properties[name] = r.schema(p)
	}
	return &plain
}

// is is the type's name, without "or null".
func (s *schema) is() string {
	if name, ok := s.Type.(string); ok {
		return name
	}
	for _, name := range s.Type.([]any) { //nolint:forcetypeassert // a type is a name or a list of them
		if name != "null" {
			return name.(string)
		}
	}
	return "null"
}

// at is the path with ids in the places of its parameters; ids that are not given are those of nothing.
func (o operation) at(ids map[string]string) string {
	path := o.path
	for _, p := range o.params {
		if p.In != "path" {
			continue
		}
		id, known := ids[p.Name]
		if !known {
			id = "0190a5b4-0000-7000-8000-0000000000ff"
		}
		path = strings.ReplaceAll(path, "{"+p.Name+"}", id)
	}
	return path
}
