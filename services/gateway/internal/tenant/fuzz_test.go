package tenant

import "testing"

// FuzzHostName: a host has one name, of characters that mean nothing else anywhere.
func FuzzHostName(f *testing.F) {
	for _, seed := range []string{"localhost:8080", "ACME.example.org.", "[::1]:80", "a..b", "", ":", "a:b:c", "a/b", "a@b", "\xff", "xn--bcher-kva.example", "localhost:8080:8080", "[a", "a]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		name, ok := hostName(host)
		if !ok {
			return
		}
		if name == "" || len(name) > 253 {
			t.Fatalf("%q is named %q", host, name)
		}
		if again, ok := hostName("[" + name + "]:80"); !ok || again != name {
			t.Fatalf("%q is named %q, and that %q", host, name, again)
		}
	})
}
