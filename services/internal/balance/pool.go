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
	resolveEvery   = 2 * time.Second
	resolveTimeout = 2 * time.Second
	// resolveAgain is how soon a lookup may follow another when an address has refused.
	resolveAgain = 250 * time.Millisecond
	// An answer that is older than outdated is not used before a new one was asked for; while DNS is slow, no longer than outdatedPatience is waited.
	outdated         = 15 * time.Second
	outdatedPatience = 250 * time.Millisecond
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
	hurried   bool          // an address has refused since the last lookup
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
// the one that has waited longest: somebody has to find out that the upstream is back. With all used, DNS is asked once more: while an upstream is replaced,
// the new addresses may be those that nobody has heard of yet.
func (p *pool) next(ctx context.Context, used []netip.AddrPort) (netip.AddrPort, error) {
	if err := p.resolve(ctx); err != nil {
		return netip.AddrPort{}, err
	}
	addr, err := p.choose(used)
	if errors.Is(err, errNoOther) && p.renew(ctx) {
		return p.choose(used)
	}
	return addr, err
}

func (p *pool) choose(used []netip.AddrPort) (netip.AddrPort, error) {
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

// refused leaves addr out for a moment, and has DNS asked soon: it may name another one by now.
func (p *pool) refused(addr netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.ejected[addr]
	e.until = p.now().Add(min(ejectFor<<min(e.count, 8), ejectMax))
	e.count++
	p.ejected[addr] = e
	p.hurried = true
}

func (p *pool) worked(addr netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.ejected, addr)
}

// resolve makes sure there are addresses. Who finds none waits for the lookup, and who finds old ones waits a little; with fresh ones at hand, they are
// renewed beside.
func (p *pool) resolve(ctx context.Context) error {
	p.mu.Lock()
	have, running := len(p.addrs) > 0, p.lookup(ctx)
	old := have && p.now().Sub(p.resolved) >= outdated
	p.mu.Unlock()
	switch {
	case running == nil || have && !old:
		return nil
	case old:
		return p.await(ctx, running, outdatedPatience)
	}
	if err := p.await(ctx, running, resolveTimeout); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.addrs) == 0 {
		return fmt.Errorf("resolve %s: %w", p.host, p.failure)
	}
	return nil
}

// renew waits for a lookup and reports whether there was one: they are not started more often than every resolveAgain.
func (p *pool) renew(ctx context.Context) bool {
	p.mu.Lock()
	p.hurried = true
	running := p.lookup(ctx)
	p.mu.Unlock()
	return running != nil && p.await(ctx, running, resolveTimeout) == nil
}

func (p *pool) await(ctx context.Context, running <-chan struct{}, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-running:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
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
	due := resolveEvery
	if p.hurried {
		due = resolveAgain
	}
	age := p.now().Sub(p.resolved)
	if len(p.addrs) > 0 && age >= 0 && age < due {
		return nil
	}
	p.resolving, p.hurried = make(chan struct{}), false
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
