package httpserver

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"noteworks.dev/services/internal/errs"
)

type fuzzed struct {
	Text   string             `json:"text"`
	Number int                `json:"number"`
	List   []string           `json:"list"`
	Deep   *fuzzed            `json:"deep"`
	Ratios map[string]float64 `json:"ratios"`
}

// FuzzDecodeJSON: what is taken is JSON that the standard library reads the same way, with every key once, not deep, and without null and NUL; what is refused
// is the caller's fault, in words that name no type of ours.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{
		`{"text":"a","number":1,"list":["b"],"deep":{"text":"c"},"ratios":{"x":1.5}}`, `{}`, ``, `null`, `[]`, `{"text":null}`, `{"text":"a","text":"b"}`, `{"Text":"a"}`, `{"text":"\ud800"}`,
		"{\"text\":\"\xff\"}", `{"text":"\u0000"}`, "\ufeff{}", `{} {}`, `{"number":-0}`, `{"number":1e400}`, `{"ratios":{"x":NaN}}`, strings.Repeat(`{"deep":`, 40), `{"number":1.5}`, `{"x":1}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var strict, lax fuzzed
		if err := DecodeJSON(strings.NewReader(text), &strict); err != nil {
			if kind := errs.KindOf(err); kind != errs.KindInvalid || strings.Contains(errs.As(err).Detail, "fuzzed") {
				t.Fatalf("%q is refused as %v: %s", text, kind, errs.As(err).Detail)
			}
			return
		}
		if err := json.Unmarshal([]byte(text), &lax); err != nil || !reflect.DeepEqual(strict, lax) {
			t.Fatalf("%q is %+v, and to others %+v, %v", text, strict, lax, err)
		}
		requireStrict(t, text)
	})
}

// requireStrict reads text token by token.
func requireStrict(t *testing.T, text string) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	type level struct {
		keys map[string]bool // nil in a list
		key  bool            // one is due
	}
	var open []level
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%q was taken: %v", text, err)
		}
		if len(open) > maxDepth || token == nil {
			t.Fatalf("%q was taken", text)
		}
		word, isText := token.(string)
		if top := len(open) - 1; isText && top >= 0 && open[top].key {
			if open[top].keys[word] {
				t.Fatalf("%q was taken with %q twice", text, word)
			}
			open[top].keys[word], open[top].key = true, false
			continue
		}
		if isText && strings.ContainsRune(word, 0) {
			t.Fatalf("%q was taken", text)
		}
		if token == json.Delim('{') || token == json.Delim('[') {
			open = append(open, level{})
			if token == json.Delim('{') {
				open[len(open)-1] = level{map[string]bool{}, true}
			}
			continue
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			open = open[:len(open)-1]
		}
		if top := len(open) - 1; top >= 0 && open[top].keys != nil {
			open[top].key = true
		}
	}
}

// FuzzForwarded: an address is the connection's or one that a trusted proxy told, and content types and tags are not taken for what they are not.
func FuzzForwarded(f *testing.F) {
	f.Add("10.0.0.1:1", "1.2.3.4, 10.0.0.2", "application/json; charset=utf-8", `W/"a", "b"`)
	f.Add("1.2.3.4:1", "10.0.0.1", "application/json;charset=latin1", "*")
	f.Add("[::ffff:10.0.0.1]:1", "fe80::1%eth0,,x", "text/json", "")
	f.Add("x", "::1", "application/json,text/plain", `"`)
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, remote, forwarded, contentType, tags string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		ip := ClientIP(r, trusted)
		if !within(peer(r), trusted) && ip != peer(r) {
			t.Fatalf("%s says that it is %s", remote, ip)
		}
		if ip.Zone() != "" || ip.Is4In6() {
			t.Fatalf("%s has more than one spelling", ip)
		}
		if plainJSON(contentType) && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "application/json") {
			t.Fatalf("%q is taken for JSON", contentType)
		}
		if matches(tags, `W/"a"`) && !strings.Contains(tags, `"a"`) && !strings.Contains(tags, "*") {
			t.Fatalf("%q matches", tags)
		}
	})
}
