package tilt

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// root is the repository, where Tilt runs the Tiltfile.
const root = "../.."

// machine is what the Tiltfile may learn of the machine it runs on.
type machine struct {
	context, server string
}

func laptop() machine { return machine{context: "kind-noteworks", server: "https://127.0.0.1:41234"} }

// A world is what the Tiltfile asks for: the calls of Tilt's functions, by their parameters' names.
type world struct {
	machine
	objects   []object
	allowed   []string
	watched   []string
	resources []resource // k8s_resource
	builds    []build
	locals    []localResource
}

type resource struct {
	workload, name string
	objects        []string
	labels, deps   []string
	forwards       []forward
	links          []link
}

type forward struct {
	local, container int
	name, path       string
}

type link struct{ url, name string }

type build struct {
	ref, command string
	deps         []string
	skipsDocker  bool
	steps        []step
}

type step struct{ kind, local, remote string }

type localResource struct {
	name, cmd, serve   string
	deps, labels       []string
	after              []string
	links              []link
	automatic, onClick bool
	probe              int // its port, 0 without one
}

// run evaluates the Tiltfile. Its errors are what a person would read in Tilt.
func run(t *testing.T, m machine) (*world, error) {
	t.Helper()
	w := &world{machine: m}
	source, err := os.ReadFile(filepath.Join(root, "Tiltfile"))
	if err != nil {
		t.Fatal(err)
	}
	options := &syntax.FileOptions{TopLevelControl: true, GlobalReassign: true}
	_, err = starlark.ExecFileOptions(options, &starlark.Thread{Name: "Tiltfile"}, "Tiltfile", source, w.builtins())
	return w, err
}

// builtins stand for Tilt's functions. Each knows its function's parameters (docs.tilt.dev/api.html), so that a misspelt one is an error here, too.
func (w *world) builtins() starlark.StringDict {
	all := starlark.StringDict{"TRIGGER_MODE_MANUAL": starlark.String("manual"), "TRIGGER_MODE_AUTO": starlark.String("auto")}
	for name, call := range map[string]func(args) (starlark.Value, error){
		"version_settings":   w.nothing("check_updates?", "constraint?"),
		"update_settings":    w.nothing("max_parallel_updates?", "k8s_upsert_timeout_secs?", "suppress_unused_image_warnings?", "k8s_server_side_apply?"),
		"k8s_context":        func(args) (starlark.Value, error) { return starlark.String(w.context), nil },
		"k8s_namespace":      func(args) (starlark.Value, error) { return starlark.String("default"), nil },
		"fail":               w.fail,
		"allow_k8s_contexts": w.allow,
		"watch_file":         w.watch,
		"local":              w.local,
		"read_file":          w.readFile,
		"decode_yaml_stream": w.decode,
		"k8s_yaml":           w.apply,
		"k8s_resource":       w.resource,
		"custom_build":       w.build,
		"sync":               w.sync,
		"fall_back_on":       w.fallBack,
		"port_forward":       w.forward,
		"link":               w.link,
		"local_resource":     w.localResource,
		"probe":              w.probe,
		"http_get_action":    w.httpGet,
	} {
		all[name] = starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, positional starlark.Tuple, named []starlark.Tuple) (starlark.Value, error) {
			return call(args{b.Name(), positional, named})
		})
	}
	return all
}

type args struct {
	function   string
	positional starlark.Tuple
	named      []starlark.Tuple
}

func (a args) unpack(pairs ...any) error {
	return starlark.UnpackArgs(a.function, a.positional, a.named, pairs...)
}

func (w *world) nothing(names ...string) func(args) (starlark.Value, error) {
	return func(a args) (starlark.Value, error) {
		var pairs []any
		for _, name := range names {
			var ignored starlark.Value
			pairs = append(pairs, name, &ignored)
		}
		return starlark.None, a.unpack(pairs...)
	}
}

func (w *world) fail(a args) (starlark.Value, error) {
	var said string
	if err := a.unpack("msg", &said); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("refused: %s", said)
}

func (w *world) allow(a args) (starlark.Value, error) {
	var contexts starlark.Value
	if err := a.unpack("contexts", &contexts); err != nil {
		return nil, err
	}
	w.allowed = append(w.allowed, list(contexts)...)
	return starlark.None, nil
}

func (w *world) watch(a args) (starlark.Value, error) {
	var path string
	if err := a.unpack("file_path", &path); err != nil {
		return nil, err
	}
	w.watched = append(w.watched, path)
	return starlark.None, nil
}

// local answers the few commands that the Tiltfile may need to learn something; helm is Helm's engine.
func (w *world) local(a args) (starlark.Value, error) {
	var command, ignored starlark.Value
	if err := a.unpack("command", &command, "quiet?", &ignored, "command_bat?", &ignored, "echo_off?", &ignored, "env?", &ignored, "dir?", &ignored, "stdin?", &ignored); err != nil {
		return nil, err
	}
	words := list(command)
	switch {
	case words[0] == "kubectl" && strings.Contains(strings.Join(words, " "), "config view --minify --context "+w.context):
		return starlark.String(w.server), nil
	case words[0] == ".tools/bin/helm" && words[1] == "template":
		text, err := template(words[2:])
		return starlark.String(text), err
	case words[0] == `make --silent "$PWD/.tools/bin/helm"`:
		return starlark.String(""), nil
	}
	return nil, fmt.Errorf("it runs %q, which this test does not know", words)
}

// readFile is of a file in the repository: the Tiltfile needs no other.
func (w *world) readFile(a args) (starlark.Value, error) {
	var path string
	var ignored starlark.Value
	if err := a.unpack("file_path", &path, "default?", &ignored); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, path))
	return starlark.String(text), err
}

func (w *world) decode(a args) (starlark.Value, error) {
	var text string
	if err := a.unpack("yaml", &text); err != nil {
		return nil, err
	}
	objects, err := objectsOf(text)
	if err != nil {
		return nil, err
	}
	var all []starlark.Value
	for _, o := range objects {
		value, err := starlarkOf(map[string]any(o))
		if err != nil {
			return nil, err
		}
		all = append(all, value)
	}
	return starlark.NewList(all), nil
}

func (w *world) apply(a args) (starlark.Value, error) {
	var text string
	var ignored starlark.Value
	if err := a.unpack("yaml", &text, "allow_duplicates?", &ignored); err != nil {
		return nil, err
	}
	objects, err := objectsOf(text)
	w.objects = append(w.objects, objects...)
	return starlark.None, err
}

func (w *world) resource(a args) (starlark.Value, error) {
	var r resource
	var objects, labels, deps, forwards, links, ignored starlark.Value
	if err := a.unpack("workload?", &r.workload, "new_name?", &r.name, "port_forwards?", &forwards, "extra_pod_selectors?", &ignored, "trigger_mode?", &ignored,
		"resource_deps?", &deps, "objects?", &objects, "auto_init?", &ignored, "pod_readiness?", &ignored, "links?", &links, "labels?", &labels,
		"discovery_strategy?", &ignored); err != nil {
		return nil, err
	}
	r.objects, r.labels, r.deps = list(objects), list(labels), list(deps)
	for _, f := range values(forwards) {
		r.forwards = append(r.forwards, forward{number(f, "local_port"), number(f, "container_port"), text(f, "name"), text(f, "link_path")})
	}
	r.links = linksOf(links)
	w.resources = append(w.resources, r)
	return starlark.None, nil
}

func (w *world) build(a args) (starlark.Value, error) {
	var b build
	var deps, steps, ignored starlark.Value
	if err := a.unpack("ref", &b.ref, "command", &b.command, "deps", &deps, "tag?", &ignored, "disable_push?", &ignored, "skips_local_docker?", &b.skipsDocker,
		"live_update?", &steps, "match_in_env_vars?", &ignored, "ignore?", &ignored, "entrypoint?", &ignored, "env?", &ignored, "dir?", &ignored); err != nil {
		return nil, err
	}
	b.deps = list(deps)
	for _, s := range values(steps) {
		b.steps = append(b.steps, step{text(s, "kind"), text(s, "local"), text(s, "remote")})
	}
	w.builds = append(w.builds, b)
	return starlark.None, nil
}

func (w *world) sync(a args) (starlark.Value, error) {
	var local, remote string
	err := a.unpack("local_path", &local, "remote_path", &remote)
	return record("kind", "sync", "local", local, "remote", remote), err
}

func (w *world) fallBack(a args) (starlark.Value, error) {
	var files string
	err := a.unpack("files", &files)
	return record("kind", "fall_back_on", "local", files), err
}

func (w *world) forward(a args) (starlark.Value, error) {
	var local, container int
	var name, path, host string
	err := a.unpack("local_port", &local, "container_port?", &container, "name?", &name, "link_path?", &path, "host?", &host)
	return record("local_port", local, "container_port", container, "name", name, "link_path", path), err
}

func (w *world) link(a args) (starlark.Value, error) {
	var url, name string
	err := a.unpack("url", &url, "name?", &name)
	return record("url", url, "name", name), err
}

func (w *world) probe(a args) (starlark.Value, error) {
	var get, ignored starlark.Value
	if err := a.unpack("initial_delay_secs?", &ignored, "timeout_secs?", &ignored, "period_secs?", &ignored, "success_threshold?", &ignored,
		"failure_threshold?", &ignored, "exec?", &ignored, "http_get?", &get, "tcp_socket?", &ignored); err != nil {
		return nil, err
	}
	return get, nil
}

func (w *world) httpGet(a args) (starlark.Value, error) {
	var port int
	var ignored starlark.Value
	err := a.unpack("port", &port, "host?", &ignored, "scheme?", &ignored, "path?", &ignored)
	return record("port", port), err
}

func (w *world) localResource(a args) (starlark.Value, error) {
	l := localResource{automatic: true}
	mode := "auto"
	var deps, labels, links, after, probe, ignored starlark.Value
	if err := a.unpack("name", &l.name, "cmd?", &l.cmd, "deps?", &deps, "trigger_mode?", &mode, "resource_deps?", &after, "ignore?", &ignored,
		"auto_init?", &l.automatic, "serve_cmd?", &l.serve, "allow_parallel?", &ignored, "links?", &links, "labels?", &labels, "env?", &ignored,
		"serve_env?", &ignored, "readiness_probe?", &probe, "dir?", &ignored, "serve_dir?", &ignored); err != nil {
		return nil, err
	}
	l.deps, l.labels, l.after, l.links, l.onClick = list(deps), list(labels), list(after), linksOf(links), mode == "manual"
	if probe != nil {
		l.probe = number(probe, "port")
	}
	w.locals = append(w.locals, l)
	return starlark.None, nil
}

func linksOf(v starlark.Value) []link {
	var all []link
	for _, l := range values(v) {
		all = append(all, link{text(l, "url"), text(l, "name")})
	}
	return all
}

// record is a value with fields, of which Tilt's functions give several.
func record(pairs ...any) starlark.Value {
	fields := starlark.StringDict{}
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		switch v := pairs[i+1].(type) {
		case string:
			fields[name] = starlark.String(v)
		case int:
			fields[name] = starlark.MakeInt(v)
		}
	}
	return starlarkstruct.FromStringDict(starlarkstruct.Default, fields)
}

func attribute(v starlark.Value, name string) starlark.Value {
	if s, ok := v.(*starlarkstruct.Struct); ok {
		if field, err := s.Attr(name); err == nil {
			return field
		}
	}
	return starlark.None
}

func text(v starlark.Value, name string) string {
	s, _ := starlark.AsString(attribute(v, name))
	return s
}

func number(v starlark.Value, name string) int {
	n, _ := starlark.AsInt32(attribute(v, name))
	return n
}

// values is what Tilt takes for a list: one, or a list of them, or nothing.
func values(v starlark.Value) []starlark.Value {
	switch v := v.(type) {
	case nil, starlark.NoneType:
		return nil
	case *starlark.List:
		var all []starlark.Value
		for i := range v.Len() {
			all = append(all, v.Index(i))
		}
		return all
	}
	return []starlark.Value{v}
}

func list(v starlark.Value) []string {
	var all []string
	for _, item := range values(v) {
		s, _ := starlark.AsString(item)
		all = append(all, s)
	}
	return all
}
