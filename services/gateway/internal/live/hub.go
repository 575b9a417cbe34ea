package live

import (
	"sync"
	"sync/atomic"
	"time"

	"noteworks.dev/services/internal/errs"
)

// Limits bound what the hub keeps. The zero value of a field means its default.
type Limits struct {
	// RingCount, RingBytes and RingAge bound what a returning client can be replayed.
	RingCount, RingBytes int
	RingAge              time.Duration
	// QueueFrames and QueueBytes bound what waits for one socket; past that it is cut off.
	QueueFrames, QueueBytes int
	// ReadyWait is how long a client waits for a hub that holds before it is told to go on without.
	ReadyWait time.Duration
}

func (l Limits) withDefaults() Limits {
	or := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	or(&l.RingCount, 65_536)
	or(&l.RingBytes, 32<<20)
	or(&l.QueueFrames, 1_024)
	or(&l.QueueBytes, 2<<20)
	if l.RingAge == 0 {
		l.RingAge = 10 * time.Minute
	}
	if l.ReadyWait == 0 {
		l.ReadyWait = 10 * time.Second
	}
	return l
}

// Hub knows the sockets of this process and what has happened lately. Every method may be called by any goroutine.
//
// A hub begins holding: events go into the ring and end sessions, but nothing is sent, until Release says that the past has been read.
// Hold returns to that while a tail that was cut off catches up, so that a backlog reaches the sockets as one replay, in which what was
// shared and taken back meanwhile does not occur.
type Hub struct {
	limits  Limits
	now     func() time.Time
	endings *Endings
	stats   counters

	mu    sync.Mutex
	at    Cursor        // everything up to here was seen
	floor Cursor        // a replay is complete from here on
	met   [streams]bool // at and floor of the stream mean something
	ring  ring
	rooms map[string]*room
	held  map[*Client]struct{} // who waits for ready
	early map[*Client]struct{} // who is ahead of this process
	// suspended are workspaces that were lately. Whoever opens a socket is asked for by host; this is for sockets that were open already.
	suspended expiring[string, struct{}]
	holding   bool
}

// room is the sockets of one workspace.
type room struct {
	people map[string][]*Client
}

type counters struct {
	queued, withdrawn, resyncs, cut, repeated, gaps atomic.Int64
}

// NewHub is a hub that holds, with nobody in it.
func NewHub(limits Limits, now func() time.Time) *Hub {
	l := limits.withDefaults()
	return &Hub{
		limits:  l,
		now:     now,
		endings: NewEndings(now),
		ring:    ring{maxCount: l.RingCount, maxBytes: l.RingBytes, maxAge: l.RingAge},
		rooms:   make(map[string]*room),
		held:    make(map[*Client]struct{}),
		early:   make(map[*Client]struct{}),
		holding: true,
	}
}

// suspensionTTL is how long a suspension is remembered: longer than a socket may be open before it has signed in.
const suspensionTTL = time.Minute

// Endings is the list of sessions that ended, which the hub keeps.
func (h *Hub) Endings() *Endings { return h.endings }

// NewClient is a client without an identity. wake is called each time its queue stops being idle, ended once when the client is told to go.
// Both are called while the hub waits, so they must not block.
func (h *Hub) NewClient(wake, ended func()) *Client {
	return &Client{queue: queue{maxFrames: h.limits.QueueFrames, maxBytes: h.limits.QueueBytes, wake: wake}, ended: ended}
}

// Join makes c who's socket. Its queue gets ready, then what of the events after since who may see, or resync if that cannot be
// complete, then every event from now on. An empty since is a client that has just loaded everything by other means.
// Joining again as the same person extends the stay and is answered by ready alone. The error is errs.Unauthenticated "session-ended"
// or "other-person", or errs.Unavailable "workspace-suspended" for a workspace that has just been.
func (h *Hub) Join(c *Client, who Identity, since string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.endings.Ended(who) {
		return errs.Unauthenticated(CodeSessionEnded, "The session has ended.")
	}
	if _, suspended := h.suspended.get(who.Workspace, h.now()); suspended {
		return errs.Unavailable(CodeWorkspaceSuspended, "The workspace is suspended.")
	}
	if c.joined {
		return h.rejoin(c, who)
	}
	c.who, c.joined, c.since = who, true, since
	h.enter(c)
	if h.holding || !h.knowsWhere(c) {
		c.waiting = h.now()
		h.held[c] = struct{}{}
		return nil
	}
	h.welcome(c)
	return nil
}

func (h *Hub) rejoin(c *Client, who Identity) error {
	if c.who.Person != who.Person || c.who.Workspace != who.Workspace {
		return errs.Unauthenticated(CodeOtherPerson, "A socket belongs to one person.")
	}
	c.who = who
	if c.told {
		c.queue.pushAll(readyFrame(h.at))
	}
	return nil
}

// TellCursor tells c where the hub stands, if that has changed since it was told so. Without it, a client that nothing happens to would come
// back with a cursor from before the ring, and load everything anew for nothing.
func (h *Hub) TellCursor(c *Client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holding || !c.told || c.at == h.at {
		return
	}
	c.at = h.at
	c.queue.pushAll(cursorFrame(h.at))
}

// Leave forgets c, which may never have joined.
func (h *Hub) Leave(c *Client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !c.joined {
		return
	}
	c.joined = false
	delete(h.held, c)
	delete(h.early, c)
	r := h.rooms[c.who.Workspace]
	r.remove(c)
	if len(r.people) == 0 {
		delete(h.rooms, c.who.Workspace)
	}
}

func (h *Hub) enter(c *Client) {
	r := h.rooms[c.who.Workspace]
	if r == nil {
		r = &room{people: make(map[string][]*Client)}
		h.rooms[c.who.Workspace] = r
	}
	r.people[c.who.Person] = append(r.people[c.who.Person], c)
}

func (r *room) remove(c *Client) {
	all := r.people[c.who.Person]
	for i, other := range all {
		if other == c {
			all[i] = all[len(all)-1]
			all[len(all)-1] = nil
			all = all[:len(all)-1]
			break
		}
	}
	r.people[c.who.Person] = all
	if len(all) == 0 {
		delete(r.people, c.who.Person)
	}
}

// Publish takes the next event of its stream and reports how many sockets it was queued for. An event that was seen before, because a
// stream was read again or filled again, does nothing.
func (h *Hub) Publish(e *Event) (sockets int) {
	if !e.valid() {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.met[e.Stream] && e.Position <= h.at[e.Stream][e.Lane] {
		h.stats.repeated.Add(1)
		return 0
	}
	h.advance(e)
	if e.Ended != nil {
		h.endings.add(e.Workspace, e.Ended, e.Time)
		h.endSockets(e.Workspace, e.Ended.Person)
	}
	if e.Suspended != nil {
		h.suspend(e.Workspace, *e.Suspended)
	}
	if !e.forBrowsers() {
		return 0
	}
	return h.keepAndSend(e)
}

// Locate says where a stream stands although none of its events was seen: at the start, or after it was found empty.
func (h *Hub) Locate(s Stream, outbox Place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if int(s) < streams && !h.met[s] {
		h.met[s] = true
		h.at[s], h.floor[s] = outbox, outbox
		h.welcomeHeld()
	}
}

// advance moves the hub past e. The outbox's place shows whether events of other lanes went by unseen, which a stream that lost
// messages can do; then only a resync helps.
func (h *Hub) advance(e *Event) {
	at := &h.at[e.Stream]
	prior := e.Outbox
	prior[e.Lane] = min(prior[e.Lane], e.Position-1)
	switch {
	case !h.met[e.Stream]:
		h.met[e.Stream] = true
		h.floor[e.Stream] = prior
		h.welcomeHeld()
	case h.skipped(e):
		h.stats.gaps.Add(1)
		h.floor[e.Stream] = h.floor[e.Stream].merge(prior)
		h.resyncAll()
	}
	*at = at.merge(e.Outbox)
	at[e.Lane] = max(at[e.Lane], e.Position)
}

func (h *Hub) skipped(e *Event) bool {
	for lane, position := range e.Outbox {
		if lane != e.Lane && position > h.at[e.Stream][lane] {
			return true
		}
	}
	return false
}

// keepAndSend puts e into the ring and, unless holding, into the queues of its audience.
func (h *Hub) keepAndSend(e *Event) (sockets int) {
	one := entryOf(e, h.at, h.now())
	h.ring.add(one, h.evicted)
	r := h.rooms[e.Workspace]
	if r == nil {
		return 0
	}
	if e.Everyone {
		for _, clients := range r.people {
			sockets += h.send(clients, one)
		}
		return sockets
	}
	for _, person := range e.Audience {
		sockets += h.send(r.people[person], one)
	}
	return sockets
}

func (h *Hub) send(clients []*Client, e *entry) (sent int) {
	for _, c := range clients {
		if e.withdrawn.hits(c.who.Person) {
			h.stats.withdrawn.Add(int64(c.queue.withdraw(e.note)))
		}
		switch {
		case h.holding || !c.told || !c.wants(e):
		case c.queue.push(e.frame):
			sent++
			c.at = e.after
		case c.End(CodeTooSlow):
			h.stats.cut.Add(1)
		}
	}
	h.stats.queued.Add(int64(sent))
	return sent
}

// evicted moves the floor up: a client that has not seen e cannot be replayed any more.
func (h *Hub) evicted(e *entry) {
	h.floor[e.stream][e.lane] = max(h.floor[e.stream][e.lane], e.position)
}

// endSockets ends the sockets of a person, or of everyone in workspace, whose session is over.
func (h *Hub) endSockets(workspace, person string) {
	r := h.rooms[workspace]
	if r == nil {
		return
	}
	if person != "" {
		h.endOver(r.people[person])
		return
	}
	for _, clients := range r.people {
		h.endOver(clients)
	}
}

// suspend sends everyone in workspace away, or lets them come in again.
func (h *Hub) suspend(workspace string, is bool) {
	if !is {
		h.suspended.remove(workspace)
		return
	}
	h.suspended.put(workspace, struct{}{}, h.now().Add(suspensionTTL))
	r := h.rooms[workspace]
	if r == nil {
		return
	}
	for _, clients := range r.people {
		for _, c := range clients {
			c.End(CodeWorkspaceSuspended)
		}
	}
}

func (h *Hub) endOver(clients []*Client) {
	for _, c := range clients {
		if h.endings.Ended(c.who) {
			c.End(CodeSessionEnded)
		}
	}
}

// Sweep forgets what is too old, and lets nobody wait for ready, or for this process to get where they are, for longer than the limit. It is
// to be called about once a second.
func (h *Hub) Sweep() {
	h.endings.sweep()
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	h.suspended.expire(now)
	h.ring.expire(now, h.evicted)
	for c := range h.held {
		if now.Sub(c.waiting) < h.limits.ReadyWait {
			continue
		}
		delete(h.held, c)
		c.told, c.seen = true, h.at
		h.tellResync(c)
	}
	for c := range h.early {
		switch {
		case h.at.covers(c.ahead):
			h.arrived(c)
		case now.Sub(c.early) >= h.limits.ReadyWait:
			h.arrived(c)
			h.resync(c)
		}
	}
}

// Stats is what the hub has counted since it began, and what it holds now.
type Stats struct {
	Queued, Withdrawn, Resyncs, Cut, Repeated, Gaps int64
	RingEvents, RingBytes, Endings                  int
	Holding                                         bool
}

// Stats reads the counters.
func (h *Hub) Stats() Stats {
	s := Stats{
		Queued:    h.stats.queued.Load(),
		Withdrawn: h.stats.withdrawn.Load(),
		Resyncs:   h.stats.resyncs.Load(),
		Cut:       h.stats.cut.Load(),
		Repeated:  h.stats.repeated.Load(),
		Gaps:      h.stats.gaps.Load(),
		Endings:   h.endings.Len(),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.RingEvents, s.RingBytes, s.Holding = h.ring.len(), h.ring.bytes, h.holding
	return s
}
