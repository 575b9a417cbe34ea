// Package systemtest boots the whole stack, in one process and as three programs, and follows one change from the click to the other
// person's screen: over HTTP and WebSocket as a browser would, and through its trace. It holds tests only.
package systemtest
