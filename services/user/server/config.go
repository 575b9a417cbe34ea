package server

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"time"

	"noteworks.dev/services/internal/auth"
	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/program"
	"noteworks.dev/services/internal/rpc"
	"noteworks.dev/services/user/internal/argon2id"
	"noteworks.dev/services/user/internal/keyring"
	"noteworks.dev/services/user/internal/session"
)

// Config is every setting of the service, by its name in the environment. Each can also be given as NAME_FILE.
type Config struct {
	HTTPAddr string `env:"HTTP_ADDR" envDefault:":8081" should:"an address such as :8081"`
	RPCAddr  string `env:"RPC_ADDR" envDefault:":8082" should:"an address such as :8082"`
	OpsAddr  string `env:"OPS_ADDR" envDefault:":8083" should:"an address such as :8083"`

	// BaseDomain is what the workspaces' slugs stand below: <slug>.<BaseDomain>.
	BaseDomain     string         `env:"BASE_DOMAIN" envDefault:"localhost" should:"a domain such as notes.example.org"`
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES"`

	Callers  rpc.Callers
	Database pg.Config
	NATS     event.Config

	// The note service, asked for what a workspace holds. Without it that is not known, and all else works.
	NoteURL       string        `env:"NOTE_RPC_URL" should:"a URL such as http://note:8082"`
	NoteToken     config.Secret `env:"NOTE_RPC_TOKEN"`
	NoteTokenFile string        `env:"NOTE_RPC_TOKEN_FILE"`

	AccessTokenLife  time.Duration `env:"ACCESS_TOKEN_LIFE" envDefault:"5m"`
	SessionLife      time.Duration `env:"SESSION_LIFE" envDefault:"720h"`
	SessionIdle      time.Duration `env:"SESSION_IDLE" envDefault:"336h"`
	SigningKeyMaxAge time.Duration `env:"SIGNING_KEY_MAX_AGE" envDefault:"720h"`
	// SigningKeyLead is how long a new key is published before it signs.
	SigningKeyLead time.Duration `env:"SIGNING_KEY_LEAD" envDefault:"1m"`

	// How often credentials may be tried, by the address they come from and by the account they are for.
	AddressPerMinute int `env:"RATE_LIMIT_ADDRESS_PER_MINUTE" envDefault:"60" should:"a whole number, at least 1"`
	AddressBurst     int `env:"RATE_LIMIT_ADDRESS_BURST" envDefault:"60" should:"a whole number, at least 1"`
	AccountPerMinute int `env:"RATE_LIMIT_ACCOUNT_PER_MINUTE" envDefault:"10" should:"a whole number, at least 1"`
	AccountBurst     int `env:"RATE_LIMIT_ACCOUNT_BURST" envDefault:"20" should:"a whole number, at least 1"`

	// PasswordParallel is how many passwords are hashed at once (19 MiB and a core each); 0 is one for each core.
	PasswordParallel int `env:"PASSWORD_PARALLEL" envDefault:"0" should:"a whole number, 0 for the number of cores"`
	PasswordQueue    int `env:"PASSWORD_QUEUE" envDefault:"128" should:"a whole number"`

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
	const positive = "a duration above 0, such as 5m"
	wrong(c.AccessTokenLife <= 0 || c.AccessTokenLife > time.Hour, "ACCESS_TOKEN_LIFE", "is out of range", "a duration above 0 and up to 1h")
	wrong(c.SessionLife <= 0, "SESSION_LIFE", "is not positive", positive)
	wrong(c.SessionIdle <= 0, "SESSION_IDLE", "is not positive", positive)
	wrong(c.SigningKeyMaxAge <= c.SigningKeyLead, "SIGNING_KEY_MAX_AGE", "is not above SIGNING_KEY_LEAD", "a duration such as 720h")
	wrong(c.SigningKeyLead < keyring.MinLead, "SIGNING_KEY_LEAD", "is too short", "at least "+keyring.MinLead.String())
	wrong(c.AddressPerMinute < 1, "RATE_LIMIT_ADDRESS_PER_MINUTE", "is below 1", "a whole number, at least 1")
	wrong(c.AddressBurst < 1, "RATE_LIMIT_ADDRESS_BURST", "is below 1", "a whole number, at least 1")
	wrong(c.AccountPerMinute < 1, "RATE_LIMIT_ACCOUNT_PER_MINUTE", "is below 1", "a whole number, at least 1")
	wrong(c.AccountBurst < 1, "RATE_LIMIT_ACCOUNT_BURST", "is below 1", "a whole number, at least 1")
	wrong(c.PasswordParallel < 0, "PASSWORD_PARALLEL", "is negative", "a whole number, 0 for the number of cores")
	wrong(c.PasswordQueue < 0, "PASSWORD_QUEUE", "is negative", "a whole number")
	wrong((c.NoteURL == "") != (c.NoteToken == ""), "NOTE_RPC_TOKEN", "and NOTE_RPC_URL do not go together", "given with the other, or not at all")
	wrong(c.ShutdownLinger < 0, "SHUTDOWN_LINGER", "is negative", "a duration such as 2s")
	wrong(c.ShutdownGrace <= c.ShutdownLinger, "SHUTDOWN_GRACE", "is not above SHUTDOWN_LINGER", "a duration such as 8s")
	if c.NoteURL != "" {
		note := c.note()
		wrong(note.Validate() != nil, "NOTE_RPC_URL", "is not a URL", "one such as http://note:8082")
	}
	return errors.Join(all...)
}

func (c *Config) note() rpc.Config {
	const timeout = 2 * time.Second
	return rpc.Config{URL: c.NoteURL, Token: c.NoteToken, TokenFile: c.NoteTokenFile, Timeout: timeout}
}

func (c *Config) lifetimes() session.Lifetimes {
	return session.Lifetimes{Absolute: c.SessionLife, Idle: c.SessionIdle}
}

// keys leaves an old key published for twice the life of a token after its successor began: clocks differ.
func (c *Config) keys() keyring.Policy {
	return keyring.Policy{MaxAge: c.SigningKeyMaxAge, Lead: c.SigningKeyLead, Afterlife: 2*c.AccessTokenLife + 2*auth.Leeway}
}

func (c *Config) hashing() argon2id.Limits {
	const plenty = 512 << 20
	memory := program.ContainerMemory(os.DirFS("/"))
	parallel := c.PasswordParallel
	if parallel == 0 {
		parallel = passwordsAtOnce(runtime.GOMAXPROCS(0), memory)
	}
	return argon2id.Limits{Parallel: parallel, Queue: c.PasswordQueue, Frugal: memory > 0 && memory < plenty}
}

// passwordsAtOnce is one for each core, but no more than fit into half of the container's memory (0: unlimited): many cores and little memory are what
// a container gets by default.
func passwordsAtOnce(cores int, memory int64) int {
	if memory == 0 {
		return cores
	}
	each := int64(argon2id.Default().Memory) << 10
	return max(1, min(cores, int(memory/2/each)))
}
