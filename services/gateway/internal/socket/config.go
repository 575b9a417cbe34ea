package socket

import "time"

// Config is what can be set about sockets.
type Config struct {
	// AllowedOrigins are origins beside the page's own host from which browsers may connect.
	AllowedOrigins []string `env:"ALLOWED_ORIGINS" should:"a comma-separated list of origins such as https://app.example"`
	// MaxSockets is how many sockets this process holds; one more is answered 503.
	MaxSockets int `env:"LIVE_MAX_SOCKETS" envDefault:"20000"`
}

const (
	// authWithin is how long a socket may stay without having said who it is.
	authWithin = 5 * time.Second
	// verifyWithin bounds the check of a token, for which the issuer's keys may have to be fetched.
	verifyWithin = 3 * time.Second
	// expiryGrace is how long a socket outlives its token, for the client to send the next one.
	expiryGrace = 60 * time.Second
	// pingEvery is the rhythm on a silent socket; two pings in a row without an answer are its end.
	pingEvery = 25 * time.Second
	// busyPingEvery is the rhythm while something is sent: an answer shows that the client reads, within busyPongWithin.
	busyPingEvery  = 5 * time.Second
	busyPongWithin = 15 * time.Second
	// writeWithin is how long the system may take to accept one batch.
	writeWithin = 15 * time.Second
	// lastWords is how long the error frame and the close frame may take, and how long the client's answer to them is waited for.
	lastWords = 500 * time.Millisecond
	// messageWithin is how long a message may arrive in fragments.
	messageWithin = 10 * time.Second
	keepEvery     = time.Second

	framesPerSecond = 20
	// maxUnfinished bounds the bytes on the wire of one message with all its fragment headers, so that empty fragments end.
	maxUnfinished = 16 << 10
	readBuffer    = 512
	// sendBuffer is the system's, per socket: small, so that what a slow client has not read is seen in our queue and not hidden there.
	sendBuffer = 128 << 10
	batchBytes = 64 << 10
	// drainPace is how far apart the closes of a drain are, and drainAtMost the time for all.
	drainPace   = 2 * time.Millisecond
	drainAtMost = 5 * time.Second
)
