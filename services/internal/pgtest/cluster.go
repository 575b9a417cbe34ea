package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/embeddedpg"
	"noteworks.dev/services/internal/pg"
)

// cluster is a server to make databases on.
type cluster struct {
	adminURL string
	alive    io.Closer // see removeAfterExit

	mu        sync.Mutex
	templates map[string]bool // known to be there
}

// clone makes a database from the template of these migrations and returns its name.
func (c *cluster) clone(ctx context.Context, migrations []fs.FS) (string, error) {
	sum, err := fingerprint(migrations)
	if err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, c.adminURL)
	if err != nil {
		return "", fmt.Errorf("test server: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is pending on it
	template := "template_" + sum
	if err := c.ensureTemplate(ctx, conn, template, migrations); err != nil {
		return "", fmt.Errorf("template database: %w", err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	if _, err := conn.Exec(ctx, "create database "+name+" template "+template); err != nil {
		return "", fmt.Errorf("clone the template database: %w", err)
	}
	return name, embeddedpg.Restrict(ctx, conn, name, ownerRole, appRole)
}

func (c *cluster) drop(name string) error {
	ctx, cancel := background()
	defer cancel()
	conn, err := pgx.Connect(ctx, c.adminURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is pending on it
	_, err = conn.Exec(ctx, "drop database if exists "+name+" with (force)")
	return err
}

// ensureTemplate makes the template unless it is there. Test processes that share the server take turns.
func (c *cluster) ensureTemplate(ctx context.Context, conn *pgx.Conn, name string, migrations []fs.FS) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.templates[name] {
		return nil
	}
	const turn = "select pg_advisory_lock(hashtext('pgtest'))"
	if _, err := conn.Exec(ctx, turn); err != nil { // given back when conn is closed
		return err
	}
	if err := c.buildTemplate(ctx, conn, name, migrations); err != nil {
		return err
	}
	if c.templates == nil {
		c.templates = map[string]bool{}
	}
	c.templates[name] = true
	return nil
}

func (c *cluster) buildTemplate(ctx context.Context, conn *pgx.Conn, name string, migrations []fs.FS) error {
	var there bool
	const exists = "select exists (select from pg_database where datname = $1)"
	if err := conn.QueryRow(ctx, exists, name).Scan(&there); err != nil || there {
		return err
	}
	for _, role := range []string{ownerRole, appRole} {
		if err := embeddedpg.EnsureRole(ctx, conn, role, rolePassword); err != nil {
			return err
		}
	}
	half := name + "_half" // it gets its name when it is whole
	if _, err := conn.Exec(ctx, "drop database if exists "+half+" with (force)"); err != nil {
		return err
	}
	if err := embeddedpg.EnsureDatabase(ctx, conn, half, ownerRole, appRole); err != nil {
		return err
	}
	err := pg.Migrate(ctx, pg.Config{
		URL:        config.Secret(c.url(half, appRole)),
		MigrateURL: config.Secret(c.url(half, ownerRole)),
	}, migrations...)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "alter database "+half+" rename to "+name)
	return err
}

// url is a role's to a database of the cluster.
func (c *cluster) url(database, role string) string {
	return c.rewrite(database, url.UserPassword(role, rolePassword))
}

func (c *cluster) superuserURL(database string) string { return c.rewrite(database, nil) }

func (c *cluster) rewrite(database string, user *url.Userinfo) string {
	u, err := url.Parse(c.adminURL)
	if err != nil {
		return "" // adminURL has been connected to; an empty one fails loudly
	}
	u.Path = "/" + database
	if user != nil {
		u.User = user
	}
	return u.String()
}

// fingerprint names a set of migrations by their content.
func fingerprint(migrations []fs.FS) (string, error) {
	sum := sha256.New()
	for _, fsys := range migrations {
		err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(p) != ".sql" {
				return err
			}
			text, err := fs.ReadFile(fsys, p)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(sum, "%s %d\n%s", p, len(text), text)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("read the migrations: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:12]), nil
}
