package server

import (
	"errors"
	"time"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/rpc"
)

// Config is every setting of the service, by its name in the environment. Each can also be given as NAME_FILE.
type Config struct {
	HTTPAddr string `env:"HTTP_ADDR" envDefault:":8081" should:"an address such as :8081"`
	RPCAddr  string `env:"RPC_ADDR" envDefault:":8082" should:"an address such as :8082"`
	OpsAddr  string `env:"OPS_ADDR" envDefault:":8083" should:"an address such as :8083"`

	Callers  rpc.Callers
	Database pg.Config
	NATS     event.Config
	// User is the user service's internal port: its directory, and the keys that access tokens are signed with.
	User rpc.Config `envPrefix:"USER_RPC_"`

	// TrashRetention is how long a note stays in the trash.
	TrashRetention time.Duration `env:"TRASH_RETENTION" envDefault:"720h"`
	// ShutdownLinger is how long the ports are still served at a stop, while callers are sent elsewhere.
	ShutdownLinger time.Duration `env:"SHUTDOWN_LINGER" envDefault:"2s"`
	// ShutdownGrace is how long a stop may take.
	ShutdownGrace time.Duration `env:"SHUTDOWN_GRACE" envDefault:"8s"`

	// Now is the clock; nil is time.Now. Only tests set it.
	Now func() time.Time `env:"-"`
}

// Validate reports settings that do not go together. config.Load asks it.
func (c *Config) Validate() error {
	var all []error
	wrong := func(is bool, name, problem, should string) {
		if is {
			all = append(all, &config.SettingError{Name: name, Problem: problem, Should: should})
		}
	}
	wrong(c.TrashRetention <= 0, "TRASH_RETENTION", "is not positive", "a duration above 0, such as 720h")
	wrong(c.ShutdownLinger < 0, "SHUTDOWN_LINGER", "is negative", "a duration such as 2s")
	wrong(c.ShutdownGrace > 0 && c.ShutdownGrace <= c.ShutdownLinger, "SHUTDOWN_GRACE", "is not above SHUTDOWN_LINGER", "a duration such as 15s")
	wrong(c.ShutdownGrace <= 0, "SHUTDOWN_GRACE", "is not positive", "a duration above 0, such as 8s")
	wrong(c.User.URL != "" && c.User.Validate() != nil, "USER_RPC_URL", "is not a URL", "one such as http://user:8082")
	return errors.Join(all...)
}
