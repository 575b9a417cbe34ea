package live

import "slices"

// Hold stops sending until Release. Events are kept and sessions end as before.
func (h *Hub) Hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.holding {
		return
	}
	h.holding = true
	h.eachClient(func(c *Client) { c.seen = h.at })
}

// Release sends everyone what they missed since Hold, and ready first to those who have not been told.
func (h *Hub) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.holding {
		return
	}
	h.holding = false
	h.eachClient(func(c *Client) {
		if c.told {
			h.replay(c, c.seen)
		}
	})
	h.welcomeHeld()
}

// welcomeHeld says ready to those who wait and need not any more.
func (h *Hub) welcomeHeld() {
	if h.holding {
		return
	}
	for c := range h.held {
		switch {
		case h.endings.Ended(c.who):
			c.End(CodeSessionEnded)
		case h.knowsWhere(c):
			h.welcome(c)
		default:
			continue
		}
		delete(h.held, c)
	}
}

// knowsWhere reports whether c's cursor can be judged: not before each stream it stands in was met, which one that is lost is when it is
// filled again.
func (h *Hub) knowsWhere(c *Client) bool {
	from, err := ParseCursor(c.since)
	if err != nil {
		return true // of no cursor there is nothing to wait for
	}
	for stream, met := range h.met {
		if !met && from[stream] != (Place{}) {
			return false
		}
	}
	return true
}

func (h *Hub) eachClient(do func(*Client)) {
	for _, r := range h.rooms {
		for _, clients := range r.people {
			for _, c := range clients {
				do(c)
			}
		}
	}
}

// welcome says ready, then what c missed.
func (h *Hub) welcome(c *Client) {
	c.told, c.at = true, h.at
	since := c.since
	c.since = ""
	if since == "" {
		c.loaded = h.now()
		c.queue.pushAll(readyFrame(h.at))
		return
	}
	from, err := ParseCursor(since)
	if err != nil {
		h.tellResync(c)
		return
	}
	h.replayAfterReady(c, from)
}

func (h *Hub) replayAfterReady(c *Client, from Cursor) {
	c.queue.pushAll(readyFrame(h.at))
	h.replay(c, from)
}

func (h *Hub) tellResync(c *Client) {
	c.queue.pushAll(readyFrame(h.at))
	h.resync(c)
}

// resync lets c load everything anew.
func (h *Hub) resync(c *Client) {
	c.loaded = h.now()
	c.queue.pushAll(resyncFrame())
	h.stats.resyncs.Add(1)
}

// arrived ends that c was ahead.
func (h *Hub) arrived(c *Client) {
	c.ahead = Cursor{}
	delete(h.early, c)
}

// resyncAll tells everyone that something went by unseen. Who has not been told ready yet is judged by the floor when that happens.
func (h *Hub) resyncAll() {
	if h.holding {
		return
	}
	h.eachClient(func(c *Client) {
		if c.told {
			h.resync(c)
		}
	})
}

// replay queues what c may see of the events after from, or resync.
func (h *Hub) replay(c *Client, from Cursor) {
	frames, complete := h.missed(c, from)
	if !complete {
		h.resync(c)
		return
	}
	if !h.at.covers(from) {
		c.ahead, c.early = from, h.now()
		h.early[c] = struct{}{}
	}
	c.queue.pushAll(frames...)
	h.stats.queued.Add(int64(len(frames)))
}

// missed is what c may see of the events after from, in order. It is not complete if from is older than the ring, or so long ago that
// loading everything anew is cheaper. A client may be ahead of this process, which has begun when a stream was lost: what it has seen
// passes here again, and is kept from it.
//
// It walks back from the newest event, so that the cost is what was missed and not what is kept, and so that a withdrawal is met
// before what it takes away.
func (h *Hub) missed(c *Client, from Cursor) (frames []*Frame, complete bool) {
	if !from.covers(h.floor) {
		return nil, false
	}
	gone := map[string]bool{}
	bytes := 0
	for back := range h.ring.len() {
		e := h.ring.newest(back)
		if from.covers(e.after) {
			break // and so it does everything before
		}
		if e.position <= from[e.stream][e.lane] || !c.wants(e) || !e.sees(c.who.Workspace, c.who.Person) {
			continue
		}
		if e.frame.note != "" && gone[e.note] {
			continue
		}
		if e.withdrawn.hits(c.who.Person) {
			gone[e.note] = true
		}
		frames = append(frames, e.frame)
		bytes += len(e.frame.wire)
		if len(frames) > h.limits.QueueFrames || bytes > h.limits.QueueBytes {
			return nil, false
		}
	}
	slices.Reverse(frames)
	return frames, true
}
