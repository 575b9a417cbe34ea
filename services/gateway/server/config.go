package server

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"noteworks.dev/services/gateway/internal/socket"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/event"
)

// Config is every setting of the gateway, by its name in the environment. Each can also be given as NAME_FILE.
type Config struct {
	HTTPAddr string `env:"HTTP_ADDR" envDefault:":8080" should:"an address such as :8080"`
	OpsAddr  string `env:"OPS_ADDR" envDefault:":8083" should:"an address such as :8083"`

	// Where the services answer. A name with several addresses is balanced over, request by request.
	UserHTTPURL string `env:"USER_HTTP_URL,required" should:"a URL such as http://user:8081"`
	NoteHTTPURL string `env:"NOTE_HTTP_URL,required" should:"a URL such as http://note:8081"`
	// UserRPCURL is where the keys of access tokens are published.
	UserRPCURL string `env:"USER_RPC_URL,required" should:"a URL such as http://user:8082"`

	// WebDir is the built web app; without it the gateway serves the API only.
	WebDir         string         `env:"WEB_DIR" should:"the directory of the built web app"`
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES"`

	Live socket.Config
	NATS event.Config

	// RequestTimeout is a little more than what the services allow themselves, so that their answer comes first.
	RequestTimeout time.Duration `env:"REQUEST_TIMEOUT" envDefault:"12s"`
	// ShutdownLinger is how long the ports are still served at a stop, while callers are sent elsewhere.
	ShutdownLinger time.Duration `env:"SHUTDOWN_LINGER" envDefault:"2s"`
	// ShutdownGrace is how long a stop may take, the good-byes to all sockets included.
	ShutdownGrace time.Duration `env:"SHUTDOWN_GRACE" envDefault:"15s"`

	// Now is the clock; nil is time.Now. Only tests set it.
	Now func() time.Time `env:"-"`
}

// Validate reports what the types alone do not catch. config.Load asks it.
func (c *Config) Validate() error {
	var all []error
	wrong := func(is bool, name, problem, should string) {
		if is {
			all = append(all, &config.SettingError{Name: name, Problem: problem, Should: should})
		}
	}
	wrong(!service(c.UserHTTPURL), "USER_HTTP_URL", "is not the address of a service", "a URL such as http://user:8081")
	wrong(!service(c.NoteHTTPURL), "NOTE_HTTP_URL", "is not the address of a service", "a URL such as http://note:8081")
	wrong(!service(c.UserRPCURL), "USER_RPC_URL", "is not the address of a service", "a URL such as http://user:8082")
	wrong(c.Live.MaxSockets < 1, "LIVE_MAX_SOCKETS", "is below 1", "a whole number, at least 1")
	wrong(c.RequestTimeout <= 0, "REQUEST_TIMEOUT", "is not positive", "a duration such as 12s")
	wrong(c.ShutdownLinger < 0, "SHUTDOWN_LINGER", "is negative", "a duration such as 2s")
	wrong(c.ShutdownGrace > 0 && c.ShutdownGrace <= c.ShutdownLinger, "SHUTDOWN_GRACE", "is not above SHUTDOWN_LINGER", "a duration such as 15s")
	wrong(c.ShutdownGrace <= 0, "SHUTDOWN_GRACE", "is not positive", "a duration such as 15s")
	for _, origin := range c.Live.AllowedOrigins {
		wrong(!socket.IsOrigin(origin), "ALLOWED_ORIGINS", "holds something that is not an origin", "a comma-separated list of origins such as https://app.example")
	}
	return errors.Join(all...)
}

// service reports whether text is a URL of a host without a path.
func service(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && strings.Trim(u.Path, "/") == "" && u.RawQuery == ""
}
