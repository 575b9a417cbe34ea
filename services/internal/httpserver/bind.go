package httpserver

import (
	"errors"
	"mime"
	"net/http"
	"regexp"
	"strings"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/problem"
)

// blamed finds the parameter in the generated router's sentences, the only place that names it.
var blamed = regexp.MustCompile(`(?:for parameter |one value for |parameter ')([A-Za-z][A-Za-z0-9_-]*)`)

// BindError is what a caller is told when a generated handler could not read its request: an *errs.Error passes (DecodeJSON's), an unusable parameter is
// errs.Invalid "invalid-<name>" with the name as field ("invalid-limit", "invalid-if-match"), a body over the limit
// "body-too-large", and everything else "invalid-request". The message of the library is the cause and never shown: it names Go types.
func BindError(err error) error {
	var known *errs.Error
	var over *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.As(err, &over):
		return bodyTooLarge(over.Limit)
	}
	if m := blamed.FindStringSubmatch(err.Error()); m != nil {
		return errs.Invalid("invalid-"+strings.ToLower(m[1]), "The value of %s cannot be used.", m[1]).WithField(m[1]).WithCause(err)
	}
	return errs.Invalid("invalid-request", "The request cannot be read.").WithCause(err)
}

// NotFound answers an unknown route.
func NotFound(w http.ResponseWriter, r *http.Request) {
	problem.Write(w, r, errs.NotFound("not-found", "There is nothing at this address."))
}

// MethodNotAllowed answers a known route with a wrong method. The router has set Allow.
func MethodNotAllowed(w http.ResponseWriter, r *http.Request) {
	problem.Write(w, r, errs.New(errs.KindMethodNotAllowed, "method-not-allowed", "This method is not for this address."))
}

// JSONBody refuses bodies that are not plain application/json before anybody reads them: another type, a charset but UTF-8, or any Content-Encoding, because
// a small body that unpacks to a big one passes every limit. Requests without a body pass.
func JSONBody(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := CheckJSONBody(r); err != nil {
			problem.Write(w, r, err)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// CheckJSONBody is JSONBody's rule, for routers with middleware of their own kind.
func CheckJSONBody(r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	if encoding := r.Header.Values("Content-Encoding"); len(encoding) > 0 && (len(encoding) > 1 || !strings.EqualFold(encoding[0], "identity")) {
		return errs.UnsupportedMedia("unsupported-encoding", "The body must not be compressed.")
	}
	kinds := r.Header.Values("Content-Type")
	if len(kinds) != 1 || !plainJSON(kinds[0]) {
		return errs.UnsupportedMedia("unsupported-media-type", "The body should be application/json.")
	}
	return nil
}

func plainJSON(contentType string) bool {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}
