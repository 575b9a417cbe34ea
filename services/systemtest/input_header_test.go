package systemtest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestNoHeaderOpensOrBreaksAnOperation sends to every operation what proxies, attackers and broken clients add.
func TestNoHeaderOpensOrBreaksAnOperation(t *testing.T) {
	t.Parallel()
	a := attack(t)
	for _, o := range a.operations {
		token := a.ann.Token()
		for _, method := range []string{http.MethodTrace, "TRACK", "PROPFIND", "LINK", "get", "X"} {
			l := a.good(o)
			l.method = method
			a.requireRefusal(o.id+": "+method, a.send(token, l), http.StatusMethodNotAllowed, http.StatusNotFound)
		}
		a.requireRefusal(o.id+": a cookie of 33 kB", a.send(token, a.good(o).with("Cookie", "x="+strings.Repeat("a", 33<<10))), http.StatusRequestHeaderFieldsTooLarge)
		a.requireRefusal(o.id+": a header of 33 kB", a.send(token, a.good(o).with("X-Long", strings.Repeat("a", 33<<10))), http.StatusRequestHeaderFieldsTooLarge)
		a.requireRefusal(o.id+": 1,400 headers", a.send(token, many(a.good(o))), http.StatusRequestHeaderFieldsTooLarge)
		a.requireRefusal(o.id+": an address of 9 kB", a.send(token, longer(a.good(o))), http.StatusBadRequest)
		if o.by == "accessToken" {
			a.requireRefusal(o.id+": forged headers without a token", a.send("", a.good(o).forged(a)), http.StatusUnauthorized)
			a.requireRefusal(o.id+": at the other workspace's host", a.send(token, a.at("other.localhost", a.good(o))), http.StatusUnauthorized)
			a.requireRefusal(o.id+": the other workspace's token", a.send(a.mallory.Token(), a.good(o).forged(a)), http.StatusUnauthorized)
		}
		for _, host := range []string{"nowhere.localhost", "localhost.example", "evil.example", "a.b.c.localhost", "xn--", "127.0.0.1.nip.example", strings.Repeat("a", 300) + ".localhost"} {
			got := a.send(token, a.at(host, a.good(o)))
			if code := a.requireRefusal(o.id+": at "+host, got, http.StatusNotFound); code != "workspace-not-found" {
				t.Errorf("%s at %.50s: %s", o.id, host, code)
			}
		}
	}
	a.requireUnharmed()
}

// TestAMethodInAHeaderIsNoMethod asks every operation but those that read by a GET which says that it is something else.
func TestAMethodInAHeaderIsNoMethod(t *testing.T) {
	t.Parallel()
	a := attack(t)
	readable := map[string]bool{}
	for _, o := range a.operations {
		readable[o.path] = readable[o.path] || o.method == http.MethodGet
	}
	for _, o := range a.operations {
		if o.method == http.MethodGet {
			continue
		}
		l := letter{method: http.MethodGet, path: o.at(a.ids) + "?_method=" + o.method, header: a.header(o)}
		for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
			l = l.with(name, o.method)
		}
		got := a.send(a.ann.Token(), l)
		if readable[o.path] && got.status != http.StatusOK {
			t.Errorf("%s by an overridden GET: %d %s", o.id, got.status, got.text)
		}
		if !readable[o.path] {
			a.requireRefusal(o.id+" by an overridden GET", got, http.StatusMethodNotAllowed)
		}
	}
	a.requireUnharmed()
}

// TestHeadersThatMeanNothingHereDoNoHarm reads everything that can be read with all of them at once.
func TestHeadersThatMeanNothingHereDoNoHarm(t *testing.T) {
	t.Parallel()
	a := attack(t)
	for _, o := range a.operations {
		if o.method != http.MethodGet {
			continue
		}
		plain, forged := a.send(a.bob.Token(), a.good(o)), a.send(a.bob.Token(), a.good(o).forged(a))
		if forged.status != plain.status || forged.status == http.StatusOK && forged.text != plain.text {
			t.Errorf("%s: %d without forged headers, %d with them: %s", o.id, plain.status, forged.status, forged.text)
		}
	}
	a.requireUnharmed()
}

// forged adds what only our own proxies and services may say, in the name of ann, and what only our traces may carry.
func (l letter) forged(a *attacked) letter {
	ann := a.ann.User()
	for name, value := range map[string]string{
		"X-Forwarded-For": "127.0.0.1, 10.0.0.1", "X-Forwarded-Host": "other.localhost", "X-Forwarded-Proto": "https", "X-Forwarded-User": ann.ID, "X-Forwarded-Email": ann.Email,
		"Forwarded": "for=127.0.0.1;host=other.localhost", "X-Real-Ip": "127.0.0.1", "X-User-Id": ann.ID, "X-User": ann.ID, "X-Workspace-Id": ann.ID, "X-Auth-User": ann.ID,
		"X-Remote-User": ann.ID, "Remote-User": ann.ID, "X_User_Id": ann.ID, "X-Original-Url": "/api/v1/me", "X-Rewrite-Url": "/api/v1/me", "X-Role": "owner",
		"Baggage":     "user.id=" + ann.ID + ",filler=" + strings.Repeat("x", 8<<10),
		"Traceparent": "00-ffffffffffffffffffffffffffffffff-0000000000000000-zz", "Tracestate": strings.Repeat("a=b,", 500),
	} {
		l = l.with(name, value)
	}
	return l
}

// at is l with another host; the port stays.
func (a *attacked) at(host string, l letter) letter {
	_, port, _ := strings.Cut(strings.TrimPrefix(a.stack.URL(), "http://"), ":")
	l.host = host + ":" + port
	return l
}

func many(l letter) letter {
	for i := range 1400 {
		l.header.Set(fmt.Sprintf("X-Header-%04d", i), "0123456789")
	}
	return l
}

func longer(l letter) letter {
	l.path += "?x=" + strings.Repeat("a", 9<<10)
	return l
}
