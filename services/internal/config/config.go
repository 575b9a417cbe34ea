// Package config reads a service's settings from its environment into a struct with caarlos0/env tags. It promises that
// every missing, empty, mistyped or unreadable setting is reported at once, each by its name and with what it should be, and that no
// value is ever printed: neither in an error nor through Secret.
//
// Tags beyond those of caarlos0/env (env, envDefault, envPrefix, envSeparator):
//
//	should:"an address such as :8080"   what the error says the setting should be, when its type alone does not tell
//
// Every setting NAME can also be given as NAME_FILE, the path of a file that holds the value (one trailing newline is cut off), as
// mounted secrets are. Giving both is an error. A nested struct or the whole may have a method Validate() error, for rules that types do not say; its
// SettingErrors name settings as the struct's own tags do, without the prefix of where it is nested.
package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
)

// LookupFunc answers like os.LookupEnv, which is what programs pass; tests pass a map's.
type LookupFunc = func(string) (string, bool)

// Map is a LookupFunc over m.
func Map(m map[string]string) LookupFunc {
	return func(key string) (string, bool) {
		v, ok := m[key]
		return v, ok
	}
}

// Load reads T, which must be a struct. An empty value of a setting with a default, or of one that is not required, counts as not given.
// The error lists all that is wrong, one line each.
func Load[T any](lookup LookupFunc) (T, error) {
	var t T
	fields, err := settings(reflect.TypeOf(t), "")
	if err != nil {
		return t, err
	}
	values := make(map[string]string, len(fields))
	var wrong Errors
	for _, f := range fields {
		if bad := f.read(lookup, values); bad != nil {
			wrong = append(wrong, bad)
		}
	}
	if len(wrong) > 0 {
		return t, wrong
	}
	if err := env.ParseWithOptions(&t, env.Options{Environment: values}); err != nil {
		return t, fmt.Errorf("settings: %w", err)
	}
	return t, validate(reflect.ValueOf(&t).Elem(), "")
}

// Errors is every setting that is wrong, in the order of the struct's fields.
type Errors []*SettingError

func (e Errors) Error() string {
	lines := make([]string, 0, len(e)+1)
	lines = append(lines, "settings:")
	for _, s := range e {
		lines = append(lines, "  "+s.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find a single *SettingError.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, s := range e {
		all[i] = s
	}
	return all
}

// SettingError is one setting that is wrong. It never carries the value.
type SettingError struct {
	Name    string // the variable
	Problem string // "is not set"
	Should  string // "a duration such as 10s"
}

func (e *SettingError) Error() string {
	return fmt.Sprintf("%s %s; it should be %s", e.Name, e.Problem, e.Should)
}

// setting is one variable and the field it fills.
type setting struct {
	name     string
	field    reflect.StructField
	required bool
}

// settings lists the variables of struct type t, nested structs included, with prefix before each name.
func settings(t reflect.Type, prefix string) ([]setting, error) {
	if t == nil || t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: %v is not a struct", t)
	}
	var all []setting
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("env"), ",")
		if name == "" {
			if f.Type.Kind() != reflect.Struct {
				continue
			}
			nested, err := settings(f.Type, prefix+f.Tag.Get("envPrefix"))
			if err != nil {
				return nil, err
			}
			all = append(all, nested...)
			continue
		}
		options = "," + options + ","
		all = append(all, setting{
			name:     prefix + name,
			field:    f,
			required: strings.Contains(options, ",required,") || strings.Contains(options, ",notEmpty,"),
		})
	}
	return all, nil
}

// read finds the setting's value, tries it on a field of its type, and keeps it in values.
func (s setting) read(lookup LookupFunc, values map[string]string) *SettingError {
	value, given, bad := s.find(lookup)
	if bad != nil {
		return bad
	}
	if value == "" {
		if !s.required {
			return nil
		}
		if given {
			return s.wrong("is empty")
		}
		return s.wrong("is not set")
	}
	if !s.parses(value) {
		return s.wrong("has a value that cannot be used")
	}
	values[s.name] = value
	return nil
}

func (s setting) find(lookup LookupFunc) (value string, given bool, bad *SettingError) {
	value, given = lookup(s.name)
	path, inFile := lookup(s.name + "_FILE")
	if !inFile || path == "" {
		return value, given, nil
	}
	if value != "" {
		return "", true, s.wrong("is given twice, directly and by " + s.name + "_FILE")
	}
	content, err := ReadFile(path)
	if err != nil {
		return "", true, &SettingError{
			Name:    s.name + "_FILE",
			Problem: "names a file that cannot be read (" + err.Error() + ")",
			Should:  "the path of a file that holds " + s.should(),
		}
	}
	return content.Reveal(), true, nil
}

// reason is the system's word for err, without the operation and path that os puts around it.
func reason(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// parses tries value on a struct that has this one field. The library names fields in its errors, and a field's name may stand in
// two nested structs; alone, it is clear which setting is meant.
func (s setting) parses(value string) bool {
	key := s.field
	key.Anonymous = false
	key.Offset, key.Index = 0, nil
	name, _, _ := strings.Cut(key.Tag.Get("env"), ",")
	one := reflect.New(reflect.StructOf([]reflect.StructField{key}))
	return env.ParseWithOptions(one.Interface(), env.Options{Environment: map[string]string{name: value}}) == nil
}

func (s setting) wrong(what string) *SettingError {
	return &SettingError{Name: s.name, Problem: what, Should: s.should()}
}

func (s setting) should() string {
	if text := s.field.Tag.Get("should"); text != "" {
		return text
	}
	return describe(s.field.Type)
}

// validate asks every nested struct first, then the whole.
func validate(v reflect.Value, prefix string) error {
	var all []error
	for f, value := range v.Fields() {
		if f.IsExported() && f.Type.Kind() == reflect.Struct && f.Tag.Get("env") == "" {
			all = append(all, validate(value, prefix+f.Tag.Get("envPrefix")))
		}
	}
	if checked, ok := v.Addr().Interface().(interface{ Validate() error }); ok {
		all = append(all, named(checked.Validate(), prefix))
	}
	return errors.Join(all...)
}

// named gives the settings that a nested Validate found wrong the names that they have from outside.
func named(err error, prefix string) error {
	if prefix == "" || err == nil {
		return err
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, one := range several.Unwrap() {
			all = append(all, named(one, prefix))
		}
		return errors.Join(all...)
	}
	var one *SettingError
	if errors.As(err, &one) {
		return &SettingError{Name: prefix + one.Name, Problem: one.Problem, Should: one.Should}
	}
	return fmt.Errorf("%s: %w", prefix+"*", err)
}
