package local

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
)

// Postgres is a real server of its own, in a process that takes orders.
type Postgres struct {
	// Addr is where it answers.
	Addr string

	mu      sync.Mutex
	orders  io.WriteCloser
	answers *bufio.Scanner
	cmd     *exec.Cmd
}

// startPostgres runs services/internal/embeddedpg/run, whose orders these are.
func startPostgres(path string, log io.Writer, args ...string) (*Postgres, error) {
	p := &Postgres{cmd: exec.Command(path, args...)} // it ends when its input does, with this process at the latest
	p.cmd.Stderr = log
	orders, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.orders, p.answers = orders, bufio.NewScanner(answers)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if !p.answers.Scan() {
		return nil, fmt.Errorf("PostgreSQL did not start: %w", p.cmd.Wait())
	}
	p.Addr = p.answers.Text()
	return p, nil
}

func (p *Postgres) order(order string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := fmt.Fprintln(p.orders, order); err != nil {
		return "", fmt.Errorf("%s PostgreSQL: %w", order, err)
	}
	if !p.answers.Scan() {
		return "", fmt.Errorf("%s PostgreSQL: no answer", order)
	}
	return p.answers.Text(), nil
}

func (p *Postgres) do(order string) error {
	answer, err := p.order(order)
	if err == nil && answer != "ok" {
		err = errors.New(answer)
	}
	return err
}

// Kill ends the server as a crash would.
func (p *Postgres) Kill() error { return p.do("kill") }

// Restart starts a killed server again where it was.
func (p *Postgres) Restart() error { return p.do("restart") }

// Freeze stops its processes where they are; Thaw lets them go on.
func (p *Postgres) Freeze() error { return p.do("freeze") }

// Thaw ends a Freeze.
func (p *Postgres) Thaw() error { return p.do("thaw") }

// AdminURL is the superuser's.
func (p *Postgres) AdminURL() (string, error) { return p.order("admin") }

func (p *Postgres) stop() {
	_ = p.orders.Close()
	_ = p.cmd.Wait()
}
