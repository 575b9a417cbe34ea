// Command seed fills a workspace with people and notes, over the public API, so that there is something to look at:
//
//	go run ./test/seed -url http://localhost:8080
//
// It can be run again: people who are there sign in, and write some more.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"noteworks.dev/test/client"
)

// password is everybody's: this is for trying.
const password = "a password for trying"

func main() {
	url := flag.String("url", "http://localhost:8080", "the workspace's `address`")
	people := flag.Int("people", 4, "how many people, at most as many as there are names")
	notes := flag.Int("notes", 5, "how many notes each of them writes")
	patience := flag.Duration("timeout", 2*time.Minute, "how long all of it may take")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *patience)
	defer cancel()
	if err := seed(ctx, *url, *people, *notes); err != nil {
		fmt.Fprintln(os.Stderr, "seed:", err)
		os.Exit(1)
	}
}

func seed(ctx context.Context, url string, people, notes int) error {
	everybody := names()
	if people < 1 || people > len(everybody) || notes < 0 {
		return fmt.Errorf("there may be 1 to %d people, and no fewer than 0 notes", len(everybody))
	}
	var team []*client.Client
	for _, name := range everybody[:people] {
		c, err := arrive(ctx, url, name)
		if err != nil {
			return err
		}
		team = append(team, c)
		fmt.Printf("%s signs in at %s as %s with the password %q\n", name, url, c.User().Email, password)
	}
	for i, author := range team {
		if err := write(ctx, author, team[(i+1)%len(team)], notes); err != nil {
			return fmt.Errorf("%s: %w", author.User().Name, err)
		}
	}
	fmt.Printf("%d people wrote %d notes each and shared every other with the next\n", people, notes)
	return nil
}

// arrive signs up, or in when the address is taken.
func arrive(ctx context.Context, url, name string) (*client.Client, error) {
	c, email := client.New(url, nil), name+"@example.org"
	err := c.Register(ctx, email, name, password)
	if client.StatusOf(err) == http.StatusConflict {
		err = c.Login(ctx, email, password)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

func write(ctx context.Context, author, reader *client.Client, notes int) error {
	for i := range notes {
		subject := subjects()[i%len(subjects())]
		n, err := author.Create(ctx, subject.title, subject.body)
		if err != nil {
			return err
		}
		if i%2 != 0 || reader == author {
			continue
		}
		if err := author.Share(ctx, n.ID, reader.User().ID, []string{"viewer", "commenter", "editor"}[i/2%3]); err != nil {
			return err
		}
		if _, err := author.Change(ctx, n.ID, n.Version, subject.body+"\n\nShared with "+reader.User().Name+".\n"); err != nil {
			return err
		}
	}
	return nil
}

func names() []string { return []string{"ann", "bob", "cleo", "dan", "eve", "finn", "gus", "hana"} }

type subject struct{ title, body string }

func subjects() []subject {
	return []subject{
		{"Reading list", "- *The Mythical Man-Month*\n- *A Philosophy of Software Design*\n- *Designing Data-Intensive Applications*\n"},
		{"Minutes of the weekly", "## Decided\n\n1. The trash empties itself after a month.\n2. Nobody deploys on Fridays.\n\n## Open\n\n- [ ] who writes the release notes\n"},
		{"Sourdough", "| | g |\n|---|---|\n| flour | 500 |\n| water | 350 |\n| salt | 10 |\n\nEighteen hours in the cold, then 45 minutes at 230 °C.\n"},
		{"Why the build was slow", "It compiled everything twice. See `make -n build`:\n\n```sh\ngo build ./...\ngo vet ./...\n```\n"},
		{"Packing list", "- [x] passport\n- [ ] charger\n- [ ] a book that is not about work\n"},
	}
}
