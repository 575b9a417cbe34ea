package stack

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"noteworks.dev/operator/api/v1alpha1"
)

const (
	// A release's name ends so: with the slug alone, the user service of "a" and the stack of "a-user" would have one name.
	ending = "-nw"
	// CloudNativePG takes 50 characters for <release>-postgres.
	longest = 41
	// Enough of a digest to tell long slugs of one namespace apart.
	digestLength = 8
)

// Name is the Helm release of ws, what the names of all objects of its stack begin with. It comes from the slug, which cannot change, so
// that a NoteWorkspace of another name finds what an earlier one of the same slug left.
func Name(ws *v1alpha1.NoteWorkspace) string {
	slug := ws.SlugOrName()
	begin := ""
	if slug[0] <= '9' {
		begin = "w" // names of Services begin with a letter
	}
	if begin == "" && len(slug)+len(ending) <= longest {
		return slug + ending
	}
	sum := sha256.Sum256([]byte(slug))
	room := longest - len(begin) - len(ending) - digestLength - 1
	short := strings.TrimRight(slug[:min(len(slug), room)], "-")
	return begin + short + "-" + hex.EncodeToString(sum[:])[:digestLength] + ending
}

// UserRPC is where the stack's user service takes the operator's calls, without encryption.
func UserRPC(ws *v1alpha1.NoteWorkspace) string {
	return fmt.Sprintf("http://%s-user.%s.svc:8082", Name(ws), ws.Namespace)
}

// Audience is what a token for the stack's user service has to be meant for: one that was shown to a stack is worth nothing elsewhere.
func Audience(ws *v1alpha1.NoteWorkspace) string {
	return fmt.Sprintf("noteworks-user.%s.%s", ws.Namespace, Name(ws))
}

// GatewayService is the Service in the namespace of ws that people's requests go to, and its port.
func GatewayService(ws *v1alpha1.NoteWorkspace) (name string, port int32) {
	return Name(ws) + "-gateway", 8080
}
