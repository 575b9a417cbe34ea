// Package socket is the WebSocket end of the live hub: the handshake, one goroutine for each socket that waits, a reader and a writer for as long as
// something is to be read or written, and one keeper for all that pings, expires and cuts off.
//
// It promises: a socket gets nothing before its first frame has proven who is there; a foreign page, a token in the URL, and frames that
// are malformed, too many, too long or never end are refused, each with an error frame before the close where the client still
// reads; a client that stops reading is gone within 30 s and a dead one within 75 s; Stop closes all sockets one after the other.
//
// An idle socket costs one goroutine and under 5 kB, 2 of them stack (BenchmarkIdleSockets counts its client, too). Imports gobwas/ws, live and the kit.
package socket
