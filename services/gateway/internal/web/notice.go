package web

import (
	"bytes"
	_ "embed"
	"net/http"
)

// What a person sees where the app is not served: one frame, and what each page says in it.
var (
	//go:embed notice.html
	notice []byte
	//go:embed nowhere.html
	nowhere []byte
	//go:embed suspended.html
	suspended []byte
)

// The places in the frame that are filled in.
const (
	titlePlaceholder = "__TITLE__"
	mainPlaceholder  = "__MAIN__"
)

// Nowhere answers a person who came to a host without a workspace.
func Nowhere(w http.ResponseWriter, r *http.Request) {
	writeNotice(w, r, http.StatusNotFound, "No workspace here", nowhere)
}

// Suspended answers a person who came to a workspace that is suspended. Their browser asks again in a minute.
func Suspended(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "60")
	w.Header().Set("Refresh", "60")
	writeNotice(w, r, http.StatusServiceUnavailable, "Workspace suspended", suspended)
}

func writeNotice(w http.ResponseWriter, r *http.Request, status int, title string, main []byte) {
	html := bytes.ReplaceAll(notice, []byte(titlePlaceholder), []byte(title))
	writePage(w, r, status, bytes.ReplaceAll(html, []byte(mainPlaceholder), main))
}
