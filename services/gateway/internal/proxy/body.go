package proxy

import (
	"errors"
	"io"
	"net/http"
)

// bodyError is a request's body that could not be read: the client's failure, not the service's.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "request body: " + e.err.Error() }

func (e *bodyError) Unwrap() error { return e.err }

// watchedBody marks the errors of a request's body as such.
type watchedBody struct{ io.ReadCloser }

func (b watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &bodyError{err}
	}
	return n, err
}

// watchBody is r with a body whose errors can be told from those of the service.
func watchBody(r *http.Request) *http.Request {
	if r.Body == nil || r.Body == http.NoBody {
		return r
	}
	watched := *r
	watched.Body = watchedBody{r.Body}
	return &watched
}
