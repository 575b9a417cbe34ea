package live

import "time"

// clockSkew is how far clocks may be apart, and how long a transaction may last: an event older than this before a client loaded
// everything was in what it loaded. It is generous because too little would keep news from a client, and too much only repeats what is not news.
const clockSkew = 11 * time.Minute

// Identity is who is at the other end of a socket, as its verified token said.
type Identity struct {
	Person, Workspace, Session string
	// Expires is when the token does.
	Expires time.Time
}

// Client is one socket as the hub sees it: a bounded queue, and after Join, someone's.
// Its methods may be called by any goroutine.
type Client struct {
	queue queue
	ended func()

	// The hub's, under its lock.
	who    Identity
	joined bool
	// seen is up to where this client has been told everything; kept only while the hub holds.
	seen Cursor
	// at is the cursor that the client was told last while the hub did not hold.
	at Cursor
	// told means that ready has been sent; waiting, that a held hub owes this client ready since then.
	told    bool
	waiting time.Time
	since   string
	// ahead is what the client had seen before this process did: a stream that is filled again passes there once more. early is since when.
	ahead Cursor
	early time.Time
	// loaded is when the client had loaded everything by other means; zero while it goes on from a cursor.
	loaded time.Time
}

// wants reports whether e is news to the client.
func (c *Client) wants(e *entry) bool {
	return e.position > c.ahead[e.stream][e.lane] && !e.occurred.Before(c.loaded.Add(-clockSkew))
}

// Take appends up to maxBytes of frames to into, and at least one if any waits; they are to be written in that order. No frame means
// that the queue is idle: the next one calls wake again. done means that nothing may follow and the socket is to be closed.
func (c *Client) Take(into []*Frame, maxBytes int) (taken []*Frame, done bool) {
	return c.queue.take(into, maxBytes)
}

// Send queues wire, a whole frame that is not an event, such as a pong. False means that the client does not read.
func (c *Client) Send(wire []byte) bool { return c.queue.push(&Frame{wire: wire}) }

// End drops what waits and lets an error frame with code be the last. It reports whether this call did so: only the first counts.
func (c *Client) End(code string) bool { return c.finish(code, errorFrame(code)) }

// EndForRestart drops what waits without a word: the client shall come back, and misses nothing by it.
func (c *Client) EndForRestart() bool { return c.finish(CodeRestart, nil) }

func (c *Client) finish(code string, last *Frame) bool {
	first := c.queue.finish(code, last)
	if first {
		c.ended()
	}
	return first
}

// Seize is End for a caller that writes the error frame, which it gets, and closes the socket itself: Take is not called for it.
func (c *Client) Seize(code string) (last *Frame, first bool) {
	return errorFrame(code), c.queue.seize(code)
}

// Ended is the code this client was ended with, "" while it was not.
func (c *Client) Ended() string { return c.queue.ended() }
