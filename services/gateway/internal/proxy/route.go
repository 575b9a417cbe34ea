package proxy

import "strings"

// Upstream is a service behind the gateway.
type Upstream uint8

// The upstreams. None is the answer for a path that nobody serves.
const (
	None Upstream = iota
	User
	Note

	upstreams
)

// String is the service's name.
func (u Upstream) String() string {
	switch u {
	case User:
		return "user"
	case Note:
		return "note"
	case None:
	}
	return "none"
}

// route gives what is at and under prefix to a service.
type route struct {
	prefix   string
	upstream Upstream
}

// routes is the one table of who serves what.
func routes() []route {
	return []route{
		{"/api/v1/auth", User},
		{"/api/v1/invitations", User},
		{"/api/v1/me", User},
		{"/api/v1/users", User},
		{"/api/v1/workspace", User},
		{"/api/v1/notes", Note},
		{"/api/v1/tags", Note},
	}
}

// UpstreamOf is who serves path, which must be one that PlainPath accepts.
func UpstreamOf(path string) Upstream {
	for _, r := range routes() {
		if rest, ok := strings.CutPrefix(path, r.prefix); ok && (rest == "" || rest[0] == '/') {
			return r.upstream
		}
	}
	return None
}

// PlainPath reports whether path, as it stood in the request line, means the same to everyone who reads it: no escapes, no empty or
// dotted segments, and no character that an API path of ours does not have. Everything else names nothing.
func PlainPath(path string) bool {
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if segment == "" || segment == "." || segment == ".." || !plain(segment) {
			return false
		}
	}
	return true
}

func plain(segment string) bool {
	for _, c := range []byte(segment) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '-' && c != '_' && c != '.' && c != '~' && c != ':' {
			return false
		}
	}
	return true
}

const (
	userIDParam  = "{userId}"
	versionParam = "{version}"
	noteIDParam  = "{id}"
	inviteParam  = "{invitationId}"
)

// Template is the route of path as OpenAPI writes it, for the names of spans and the labels of metrics: segments that stand where an id
// does become its parameter, and unknown ones "{}", so that callers cannot invent names.
func Template(path string) string {
	segments := strings.Split(path, "/")
	for i := range segments {
		if i < 4 { // "", "api", "v1" and what the table knows
			continue
		}
		segments[i] = parameter(segments[i-1], segments[i])
	}
	const deepest = 8
	return strings.Join(segments[:min(len(segments), deepest)], "/")
}

func parameter(before, segment string) string {
	switch before {
	case "notes":
		return noteIDParam
	case "users", "shares":
		return userIDParam
	case "revisions":
		return versionParam
	case "invitations":
		return inviteParam
	}
	switch segment {
	case "shares", "revisions", "restore", "pin", "archive", "deactivate", "reactivate", "register", "login", "refresh", "logout":
		return segment
	}
	return "{}"
}
