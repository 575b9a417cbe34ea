// Package link puts a proxy between two parts of a stack, to slow down, cut, stall and reset what passes. It is the only place that knows
// toxiproxy. Test-only.
package link

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// healPatience bounds the end of a toxic; a proxy that does not let go of it is closed and opened.
const healPatience = 3 * time.Second

// Links are all proxies, by the link's name: "note-1 to postgres". Safe for concurrent use.
type Links struct {
	server *toxiproxy.ApiServer

	mu      sync.Mutex
	proxies map[string]*toxiproxy.Proxy
	sick    map[string][]string // names of toxics, by link
}

// New has no links yet.
func New() *Links {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some of toxiproxy logs whatever its logger is

	return &Links{
		server:  toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()),
		proxies: map[string]*toxiproxy.Proxy{}, sick: map[string][]string{},
	}
}

// Via opens a link and returns the address to use instead of upstream.
func (l *Links) Via(name, upstream string) (string, error) {
	p := toxiproxy.NewProxy(l.server, name, "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		return "", fmt.Errorf("link %s: %w", name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proxies[name] = p
	return p.Listen, nil
}

// Match is the links whose names fit a pattern of path.Match, such as "note-* to postgres". None is a mistake in the pattern, and a panic.
func (l *Links) Match(patterns ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for name := range l.proxies {
		if slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, name); return ok }) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		panic("no link fits " + strings.Join(patterns, ", "))
	}
	slices.Sort(found)
	return found
}

// A Toxic is what is done to the bytes of a link, in the words of toxiproxy. It is in force both ways, for connections that are open, too.
type Toxic struct {
	Type       string         `json:"type"`
	Name       string         `json:"name"`
	Stream     string         `json:"stream"`
	Attributes map[string]any `json:"attributes"`
}

// Latency delays each piece by d in one direction, so a round trip by as much.
func Latency(d time.Duration) []Toxic {
	return []Toxic{{Type: "latency", Stream: "downstream", Attributes: map[string]any{"latency": d.Milliseconds()}}}
}

// Silence lets nothing through and closes nothing, as a cable that was cut.
func Silence() []Toxic {
	return []Toxic{
		{Type: "timeout", Stream: "upstream", Attributes: map[string]any{"timeout": 0}},
		{Type: "timeout", Stream: "downstream", Attributes: map[string]any{"timeout": 0}},
	}
}

// Deaf lets questions through and no answers: a socket that is open for one side only.
func Deaf() []Toxic {
	return []Toxic{{Type: "timeout", Stream: "downstream", Attributes: map[string]any{"timeout": 0}}}
}

// Slices sends one byte at a time.
func Slices() []Toxic {
	slice := map[string]any{"average_size": 1, "size_variation": 0, "delay": 10}
	return []Toxic{{Type: "slicer", Stream: "upstream", Attributes: slice}, {Type: "slicer", Stream: "downstream", Attributes: slice}}
}

// Narrow lets so many kB through in a second, to the one who asked.
func Narrow(kilobytes int) []Toxic {
	return []Toxic{{Type: "bandwidth", Stream: "downstream", Attributes: map[string]any{"rate": kilobytes}}}
}

// Reset ends each connection by a TCP reset after d.
func Reset(d time.Duration) []Toxic {
	return []Toxic{{Type: "reset_peer", Stream: "downstream", Attributes: map[string]any{"timeout": d.Milliseconds()}}}
}

// Poison puts toxics on links.
func (l *Links) Poison(names []string, toxics []Toxic) error {
	for _, name := range names {
		for i, t := range toxics {
			t.Name = fmt.Sprintf("%s %d", t.Type, i)
			text, err := json.Marshal(t)
			if err != nil {
				return err
			}
			if _, err := l.proxy(name).Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
				return fmt.Errorf("link %s: %s: %w", name, t.Type, err)
			}
			l.mu.Lock()
			l.sick[name] = append(l.sick[name], t.Name)
			l.mu.Unlock()
		}
	}
	return nil
}

// Cut closes the links: who connects is refused. Heal opens them.
func (l *Links) Cut(names []string) {
	for _, name := range names {
		l.proxy(name).Stop()
	}
}

// Heal takes all toxics away and opens what was cut. Connections that were sick are closed where toxiproxy can not cure them.
func (l *Links) Heal() error {
	l.mu.Lock()
	sick := l.sick
	l.sick = map[string][]string{}
	l.mu.Unlock()
	var healed sync.WaitGroup
	for name, toxics := range sick {
		healed.Go(func() { l.cure(name, toxics) })
	}
	healed.Wait()
	for name := range l.all() {
		if p := l.proxy(name); !p.Enabled {
			if err := p.Start(); err != nil {
				return fmt.Errorf("link %s: %w", name, err)
			}
		}
	}
	return nil
}

// cure removes the toxics of a link. A link that is stuck on one has its connections closed first.
func (l *Links) cure(name string, toxics []string) {
	p := l.proxy(name)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, t := range toxics {
			_ = p.Toxics.RemoveToxic(context.Background(), t) // it is there
		}
	}()
	select {
	case <-done:
	case <-time.After(healPatience):
		p.Stop()
		<-done
	}
}

func (l *Links) proxy(name string) *toxiproxy.Proxy {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proxies[name]
}

func (l *Links) all() map[string]*toxiproxy.Proxy {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]*toxiproxy.Proxy{}
	for name, p := range l.proxies {
		all[name] = p
	}
	return all
}

// Close closes all links.
func (l *Links) Close() {
	for _, p := range l.all() {
		p.Stop()
	}
}
