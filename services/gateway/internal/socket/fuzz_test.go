package socket

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzOrigin: a page that may connect is of the host that it connects to, whatever both spell themselves like.
func FuzzOrigin(f *testing.F) {
	f.Add("https://app.example", "app.example")
	f.Add("http://localhost:8080", "LOCALHOST:8080")
	f.Add("https://app.example:443", "app.example")
	f.Add("null", "null")
	f.Add("https://app.example@evil.example", "app.example")
	f.Add("https://evil.example/app.example", "app.example")
	f.Add("http://", "")
	f.Add("https://app.example.", "app.example")
	f.Fuzz(func(t *testing.T, origin, host string) {
		r := &http.Request{Host: host, Header: http.Header{"Origin": {origin}}}
		if !originAllowed(r, nil) {
			return
		}
		u, err := url.Parse(origin)
		if err != nil || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.Host == "" {
			t.Fatalf("%q is taken for an origin", origin)
		}
		port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
		if !strings.EqualFold(strings.TrimSuffix(u.Host, port), strings.TrimSuffix(host, port)) {
			t.Fatalf("a page of %q connects to %q", origin, host)
		}
	})
}
