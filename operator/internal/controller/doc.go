// Package controller makes of a NoteWorkspace what it says: observe → stack → register → route → status, one file each, and remove.
//
// It promises: nothing is written when nothing changed; every step may fail, or be killed, at every call, and the next attempt goes on from what
// is there; what people can mend is told in a condition, and only what another attempt may mend is an error; spec is never written; Secrets are
// read by name; a deletion that is held up says by what, and holds up a namespace no longer than its time box.
// Imports Kubernetes, controller-runtime, the generated client's messages, and the operator's packages registry and stack.
package controller
