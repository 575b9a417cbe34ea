package config

import (
	"encoding"
	"log/slog"
	"net/netip"
	"net/url"
	"reflect"
	"time"
)

// describe says in words what a setting of type t should be.
func describe(t reflect.Type) string {
	if text := describeKnown(t); text != "" {
		return text
	}
	if t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "a valid " + t.Name()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number, not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a comma-separated list, each " + describe(t.Elem())
	case reflect.Map:
		return "a comma-separated list of name:value"
	case reflect.Pointer:
		return describe(t.Elem())
	case reflect.String:
		return "a text that is not empty"
	}
	return "a valid " + t.String()
}

func describeKnown(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Secret]():
		return "a secret that is not empty"
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 10s or 5m"
	case reflect.TypeFor[url.URL]():
		return "a URL such as http://host:8080"
	case reflect.TypeFor[netip.Prefix]():
		return "a network such as 10.0.0.0/8"
	case reflect.TypeFor[netip.Addr]():
		return "an IP address"
	case reflect.TypeFor[slog.Level]():
		return "DEBUG, INFO, WARN or ERROR"
	}
	return ""
}
