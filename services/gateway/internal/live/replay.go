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
	clear(h.held)
	h.eachClient(func(c *Client) {
		if c.told {
			h.replay(c, c.seen)
			return
		}
		if h.endings.Ended(c.who) {
			c.End(CodeSessionEnded)
			return
		}
		h.welcome(c)
	})
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
	c.told = true
	since := c.since
	c.since = ""
	if since == "" {
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
	c.queue.pushAll(readyFrame(h.at), resyncFrame())
	h.stats.resyncs.Add(1)
}

// resyncAll tells everyone that something went by unseen. Who has not been told ready yet is judged by the floor when that happens.
func (h *Hub) resyncAll() {
	if h.holding {
		return
	}
	h.eachClient(func(c *Client) {
		if c.told {
			c.queue.pushAll(resyncFrame())
			h.stats.resyncs.Add(1)
		}
	})
}

// replay queues what c may see of the events after from, or resync.
func (h *Hub) replay(c *Client, from Cursor) {
	frames, complete := h.missed(c.who, from)
	if !complete {
		c.queue.pushAll(resyncFrame())
		h.stats.resyncs.Add(1)
		return
	}
	c.queue.pushAll(frames...)
	h.stats.queued.Add(int64(len(frames)))
}

// missed is what who may see of the events after from, in order. It is not complete if from is older than the ring, ahead of this
// process, or so long ago that loading everything anew is cheaper.
//
// It walks back from the newest event, so that the cost is what was missed and not what is kept, and so that a withdrawal is met
// before what it takes away.
func (h *Hub) missed(who Identity, from Cursor) (frames []*Frame, complete bool) {
	if !h.at.covers(from) || !from.covers(h.floor) {
		return nil, false
	}
	gone := map[string]bool{}
	bytes := 0
	for back := range h.ring.len() {
		e := h.ring.newest(back)
		if from.covers(e.after) {
			break // and so it does everything before
		}
		if e.position <= from[e.stream][e.lane] || !e.sees(who.Workspace, who.Person) {
			continue
		}
		if e.frame.note != "" && gone[e.note] {
			continue
		}
		if e.withdrawn.hits(who.Person) {
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
