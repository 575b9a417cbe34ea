// Command run keeps a private PostgreSQL server for a test that breaks it from outside:
//
//	run -data DIR -role note_owner=secret -role note_app=secret -database notes=note_owner,note_app
//
// It prints one line, the address on loopback where the server answers, then takes orders, one a line, and answers each by "ok" or by what went
// wrong: "kill" (as a crash would), "restart", "freeze" and "thaw" (SIGSTOP and SIGCONT), "admin" (answers the superuser's URL). It ends, with
// the server, when its input does.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"noteworks.dev/services/internal/embeddedpg"
)

// patience bounds a start and a stop.
const patience = time.Minute

// pairs is a flag that may be given several times: name=value.
type pairs map[string]string

func (p pairs) String() string { return fmt.Sprint(len(p)) }

func (p pairs) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("should be name=value")
	}
	p[name] = value
	return nil
}

func main() {
	roles, databases, settings := pairs{}, pairs{}, pairs{}
	data := flag.String("data", "", "the data directory")
	flag.Var(roles, "role", "role=password")
	flag.Var(databases, "database", "database=owner,other")
	flag.Var(settings, "set", "setting=value of the server's")
	flag.Parse()
	if err := run(*data, roles, databases, settings); err != nil {
		fmt.Fprintln(os.Stderr, "embeddedpg/run:", err)
		os.Exit(1)
	}
}

func run(data string, roles, databases, settings pairs) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	server, err := embeddedpg.Start(ctx, embeddedpg.Config{DataDir: data, Settings: settings})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		server.Thaw()
		_ = server.Stop(ctx) // killed, if need be
	}()
	if err := ensure(ctx, server, roles, databases); err != nil {
		return err
	}
	d, err := openDoor(server.SocketDir())
	if err != nil {
		return err
	}
	defer d.close()
	_, _ = fmt.Fprintln(os.Stdout, d.addr())
	return obey(server, d.addr(), os.Stdin, os.Stdout)
}

func ensure(ctx context.Context, server *embeddedpg.Server, roles, databases pairs) error {
	for role, password := range roles {
		if err := server.EnsureRole(ctx, role, password); err != nil {
			return err
		}
	}
	for name, list := range databases {
		owner, others, _ := strings.Cut(list, ",")
		if err := server.EnsureDatabase(ctx, name, owner, strings.Split(others, ",")...); err != nil {
			return err
		}
	}
	return nil
}

func obey(server *embeddedpg.Server, addr string, orders io.Reader, answers io.Writer) error {
	lines := bufio.NewScanner(orders)
	for lines.Scan() {
		answer := "ok"
		switch lines.Text() {
		case "kill":
			server.Kill()
		case "restart":
			if err := restart(server); err != nil {
				answer = strings.ReplaceAll(err.Error(), "\n", " ")
			}
		case "freeze":
			server.Freeze()
		case "thaw":
			server.Thaw()
		case "admin":
			u, err := url.Parse(server.AdminURL())
			if err != nil {
				return err
			}
			u.Host, u.RawQuery = addr, "sslmode=disable"
			answer = u.String()
		default:
			answer = "unknown order"
		}
		_, _ = fmt.Fprintln(answers, answer)
	}
	return lines.Err()
}

func restart(server *embeddedpg.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return server.Restart(ctx)
}
