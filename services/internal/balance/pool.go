package balance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	resolveEvery   = 5 * time.Second
	resolveTimeout = 2 * time.Second
	// ejectFor is doubled with each failure in a row, up to ejectMax.
	ejectFor = time.Second
	ejectMax = 15 * time.Second
)

var errNoOther = errors.New("no other address")

// pool knows the addresses of one host and which of them answer.
type pool struct {
	host     string
	port     uint16
	resolver Resolver
	now      func() time.Time

	mu        sync.Mutex
	addrs     []netip.AddrPort
	ejected   map[netip.AddrPort]ejection
	turn      int
	resolved  time.Time
	resolving chan struct{} // closed at the end of the lookup under way
	failure   error         // of the last lookup
}

type ejection struct {
	until time.Time
	count int
}

func newPool(u *url.URL, r Resolver, now func() time.Time) *pool {
	p := &pool{host: u.Hostname(), port: portOf(u), resolver: r, now: now, ejected: map[netip.AddrPort]ejection{}}
	if addr, err := netip.ParseAddr(p.host); err == nil {
		p.resolver = nil // nothing to ask
		p.addrs = []netip.AddrPort{netip.AddrPortFrom(addr, p.port)}
	}
	return p
}

func portOf(u *url.URL) uint16 {
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(port)
	}
	if u.Scheme == "https" {
		return 443
	}
	return 80
}

// next is the address whose turn it is, leaving out those in used and, as long as there is another, those ejected. With all ejected it is
// the one that has waited longest: somebody has to find out that the upstream is back.
func (p *pool) next(ctx context.Context, used []netip.AddrPort) (netip.AddrPort, error) {
	if err := p.resolve(ctx); err != nil {
		return netip.AddrPort{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	var spare netip.AddrPort
	var spareUntil time.Time
	for range p.addrs {
		p.turn = (p.turn + 1) % len(p.addrs)
		addr := p.addrs[p.turn]
		if slices.Contains(used, addr) {
			continue
		}
		e, out := p.ejected[addr]
		if !out || !now.Before(e.until) {
			return addr, nil
		}
		if !spare.IsValid() || e.until.Before(spareUntil) {
			spare, spareUntil = addr, e.until
		}
	}
	if !spare.IsValid() {
		return spare, errNoOther
	}
	return spare, nil
}

func (p *pool) refused(addr netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.ejected[addr]
	e.until = p.now().Add(min(ejectFor<<min(e.count, 8), ejectMax))
	e.count++
	p.ejected[addr] = e
}

func (p *pool) worked(addr netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.ejected, addr)
}

// resolve makes sure there are addresses. Only who finds none waits for the lookup; with some at hand, one that has become old
// is renewed beside.
func (p *pool) resolve(ctx context.Context) error {
	p.mu.Lock()
	have, running := len(p.addrs) > 0, p.lookup(ctx)
	p.mu.Unlock()
	if have || running == nil {
		return nil
	}
	select {
	case <-running:
	case <-ctx.Done():
		return ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.addrs) == 0 {
		return fmt.Errorf("resolve %s: %w", p.host, p.failure)
	}
	return nil
}

// lookup starts a lookup when one is due and none is under way, and returns the one under way. p.mu is held.
func (p *pool) lookup(ctx context.Context) <-chan struct{} {
	if p.resolver == nil {
		return nil
	}
	if p.resolving != nil {
		return p.resolving
	}
	age := p.now().Sub(p.resolved)
	if len(p.addrs) > 0 && age >= 0 && age < resolveEvery {
		return nil
	}
	p.resolving = make(chan struct{})
	go p.ask(context.WithoutCancel(ctx)) // others wait for it, too; ends after resolveTimeout
	return p.resolving
}

func (p *pool) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	found, err := p.resolver.LookupNetIP(ctx, "ip", p.host)
	if err == nil && len(found) == 0 {
		err = &net.DNSError{Err: "no address", Name: p.host, IsNotFound: true}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.resolving)
	p.resolving, p.resolved, p.failure = nil, p.now(), err
	if err == nil {
		p.replace(found)
	}
}

// replace keeps a stable order, so that the turn goes round although DNS shuffles its answers.
func (p *pool) replace(found []netip.Addr) {
	addrs := make([]netip.AddrPort, 0, len(found))
	for _, a := range found {
		addrs = append(addrs, netip.AddrPortFrom(a.Unmap(), p.port))
	}
	slices.SortFunc(addrs, netip.AddrPort.Compare)
	p.addrs = slices.Compact(addrs)
	for addr := range p.ejected {
		if !slices.Contains(p.addrs, addr) {
			delete(p.ejected, addr)
		}
	}
}
