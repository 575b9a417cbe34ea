package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"noteworks.dev/services/internal/config"
)

type sample struct {
	Addr     string         `env:"HTTP_ADDR" envDefault:":8081" should:"an address such as :8081"`
	Timeout  time.Duration  `env:"TIMEOUT" envDefault:"10s"`
	Conns    int32          `env:"CONNS" envDefault:"8"`
	Password config.Secret  `env:"PASSWORD,required"`
	Proxies  []netip.Prefix `env:"TRUSTED_PROXIES"`
	Home     *url.URL       `env:"HOME_URL"`
	Level    slog.Level     `env:"LEVEL"`
	On       bool           `env:"ON"`
	Upstream upstream       `envPrefix:"USER_RPC_"`
}

type upstream struct {
	URL   string        `env:"URL,required" should:"a URL such as http://user:8082"`
	Token config.Secret `env:"TOKEN,required"`
}

func given(extra map[string]string) config.LookupFunc {
	all := map[string]string{"PASSWORD": "hunter2hunter2", "USER_RPC_URL": "http://user:8082", "USER_RPC_TOKEN": "tok-tok-tok"}
	for k, v := range extra {
		all[k] = v
	}
	return config.Map(all)
}

func TestLoadReadsDefaultsAndNestedSettings(t *testing.T) {
	t.Parallel()
	got, err := config.Load[sample](given(map[string]string{
		"CONNS": "3", "TRUSTED_PROXIES": "10.0.0.0/8,::1/128", "HOME_URL": "https://x.test/y", "LEVEL": "warn", "ON": "true",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got.Addr != ":8081" || got.Timeout != 10*time.Second || got.Conns != 3 || got.Upstream.URL != "http://user:8082" {
		t.Errorf("got %+v", got)
	}
	if got.Password.Reveal() != "hunter2hunter2" || len(got.Proxies) != 2 || got.Home.Host != "x.test" || got.Level != slog.LevelWarn || !got.On {
		t.Errorf("got %+v", got)
	}
}

func TestAnEmptyOptionalSettingIsNotGiven(t *testing.T) {
	t.Parallel()
	got, err := config.Load[sample](given(map[string]string{"HTTP_ADDR": "", "TIMEOUT": "", "ON": ""}))
	if err != nil || got.Addr != ":8081" || got.Timeout != 10*time.Second || got.On {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestEachWrongSettingIsNamedWithWhatItShouldBe(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	tests := []struct {
		name  string
		set   map[string]string
		wants []string
	}{
		{"missing", map[string]string{"PASSWORD": ""}, []string{"PASSWORD is empty; it should be a secret that is not empty"}},
		{"nested", map[string]string{"USER_RPC_URL": ""}, []string{"USER_RPC_URL is empty; it should be a URL such as http://user:8082"}},
		{"a duration", map[string]string{"TIMEOUT": "ten"}, []string{"TIMEOUT has a value that cannot be used; it should be a duration such as 10s or 5m"}},
		{"a number", map[string]string{"CONNS": "many"}, []string{"CONNS", "a whole number"}},
		{"a number out of range", map[string]string{"CONNS": "99999999999"}, []string{"CONNS", "a whole number"}},
		{"a list", map[string]string{"TRUSTED_PROXIES": "10.0.0.0/8,all"}, []string{"TRUSTED_PROXIES", "a comma-separated list, each a network such as 10.0.0.0/8"}},
		{"a URL", map[string]string{"HOME_URL": "http://a b"}, []string{"HOME_URL", "a URL such as"}},
		{"a level", map[string]string{"LEVEL": "loud"}, []string{"LEVEL", "DEBUG, INFO, WARN or ERROR"}},
		{"a switch", map[string]string{"ON": "perhaps"}, []string{"ON", "true or false"}},
		{"an unreadable file", map[string]string{"PASSWORD": "", "PASSWORD_FILE": missing}, []string{"PASSWORD_FILE", "cannot be read", "no such file", missing}},
		{"a directory for a file", map[string]string{"CONNS_FILE": os.TempDir()}, []string{"CONNS_FILE", "cannot be read"}},
		{"twice", map[string]string{"PASSWORD_FILE": missing}, []string{"PASSWORD is given twice, directly and by PASSWORD_FILE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load[sample](given(tt.set))
			if err == nil {
				t.Fatal("it was accepted")
			}
			for _, want := range tt.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestAllWrongSettingsAreReportedAtOnceAndNoValueIsShown(t *testing.T) {
	t.Parallel()
	_, err := config.Load[sample](config.Map(map[string]string{"TIMEOUT": "s3cret-a", "CONNS": "s3cret-b", "USER_RPC_TOKEN": ""}))
	var all config.Errors
	if !errors.As(err, &all) || len(all) != 5 {
		t.Fatalf("want five, got %v", err)
	}
	for _, name := range []string{"TIMEOUT", "CONNS", "PASSWORD is not set", "USER_RPC_URL is not set", "USER_RPC_TOKEN is empty"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q is missing from %q", name, err)
		}
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a value is shown: %q", err)
	}
	var one *config.SettingError
	if !errors.As(err, &one) || one.Name != "TIMEOUT" {
		t.Errorf("the first should be TIMEOUT, got %+v", one)
	}
}

func TestAFileHoldsAValue(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{"pass word\n": "pass word", "pass\r\n": "pass", "two\nlines\n\n": "two\nlines\n", "bare": "bare"} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := config.Load[sample](given(map[string]string{"PASSWORD": "", "PASSWORD_FILE": path}))
		if err != nil || got.Password.Reveal() != want {
			t.Errorf("%q: got %q, %v", content, got.Password.Reveal(), err)
		}
	}
}

func TestAnEmptyFileIsAnEmptyValue(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load[sample](given(map[string]string{"PASSWORD": "", "PASSWORD_FILE": path}))
	if err == nil || !strings.Contains(err.Error(), "PASSWORD is empty") {
		t.Errorf("got %v", err)
	}
}

type ranged struct {
	From  int   `env:"FROM"`
	To    int   `env:"TO"`
	Inner inner `envPrefix:"IN_"`
}

func (r *ranged) Validate() error {
	if r.From > r.To {
		return errors.New("FROM should not be greater than TO")
	}
	return nil
}

type inner struct {
	Even int `env:"EVEN"`
}

func (i *inner) Validate() error {
	if i.Even%2 != 0 {
		return errors.Join(&config.SettingError{Name: "EVEN", Problem: "is odd", Should: "even"}, errors.New("it is odd"))
	}
	return nil
}

func TestRulesOverSeveralSettings(t *testing.T) {
	t.Parallel()
	_, err := config.Load[ranged](config.Map(map[string]string{"FROM": "2", "TO": "1", "IN_EVEN": "3"}))
	if err == nil || !strings.Contains(err.Error(), "FROM should") || !strings.Contains(err.Error(), "IN_EVEN is odd; it should be even") || !strings.Contains(err.Error(), "IN_*: it is odd") {
		t.Errorf("got %v", err)
	}
}

func TestLoadOfSomethingElseIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := config.Load[int](config.Map(nil)); err == nil {
		t.Error("an int was loaded")
	}
}

func TestASecretIsNeverShown(t *testing.T) {
	t.Parallel()
	type holder struct {
		Inner struct{ Password config.Secret }
		List  []config.Secret
		Map   map[string]config.Secret
	}
	h := holder{List: []config.Secret{"hunter2"}, Map: map[string]config.Secret{"a": "hunter2"}}
	h.Inner.Password = "hunter2"
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%08v"} {
		fmt.Fprintf(&shown, verb+"\n", h.Inner.Password)
		fmt.Fprintf(&shown, verb+"\n", h)
		fmt.Fprintf(&shown, verb+"\n", &h)
	}
	fmt.Fprintln(&shown, fmt.Errorf("connect with %v: %w", h.Inner.Password, errors.New("no")))
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&shown, nil), slog.NewTextHandler(&shown, nil)} {
		slog.New(handler).Info("settings", "secret", h.Inner.Password, "all", h)
	}
	if err := json.NewEncoder(&shown).Encode(h); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{"hunter2", "68756e74657232", "68756E74657232"} {
		if strings.Contains(shown.String(), leak) {
			t.Errorf("the secret is shown:\n%s", shown.String())
		}
	}
	if fmt.Sprint(config.Secret("")) != "" {
		t.Error("an empty secret should be seen to be empty")
	}
}
