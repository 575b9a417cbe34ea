package web

import (
	_ "embed"
	"net/http"
)

//go:embed nowhere.html
var nowhere []byte

// Nowhere answers a person who came to a host without a workspace.
func Nowhere(w http.ResponseWriter, r *http.Request) {
	writePage(w, r, http.StatusNotFound, nowhere)
}
