// Package web serves the browser app from a directory, and the page for a host that is nobody's.
//
// It promises: only files below the directory, none that begins with a dot, no listing; a content security policy with a fresh nonce for each
// copy of index.html, which the app finds in its meta tag csp-nonce; files named by their content are kept by browsers for a year, everything else
// is asked for again; the precompressed copy beside a file is sent to whoever takes it. Imports the standard library and the kit.
package web

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strings"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/problem"
)

const (
	index = "index.html"
	// hashed is the folder whose files are named by their content.
	hashed = "assets/"

	forEver = "public, max-age=31536000, immutable"
	askMe   = "no-cache"
)

// Site is an http.Handler for everything outside the API.
type Site struct {
	files fs.FS
	root  *os.Root
}

// Open serves dir. Without a dir there is no app, and every path answers 404.
func Open(dir string) (*Site, error) {
	if dir == "" {
		return &Site{}, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("web app: %w", err)
	}
	return &Site{files: root.FS(), root: root}, nil
}

// Close lets go of the directory.
func (s *Site) Close() error {
	if s.root == nil {
		return nil
	}
	return s.root.Close()
}

// ServeHTTP answers with a file, or with the app for a path that a person navigates to: what stands there is the app's to know.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		problem.Write(w, r, errs.New(errs.KindMethodNotAllowed, "method-not-allowed", "Pages are read by GET."))
		return
	}
	name, ok := fileName(r)
	switch {
	case !ok || s.files == nil:
		missing(w, r)
	case name == index:
		s.page(w, r)
	case s.file(w, r, name):
	case Navigates(r) && path.Ext(name) == "" && !strings.HasPrefix(name, hashed):
		s.page(w, r)
	default:
		missing(w, r)
	}
}

func missing(w http.ResponseWriter, r *http.Request) {
	problem.Write(w, r, errs.NotFound("not-found", "There is nothing at this address."))
}

// fileName is the file that r names; false if it is no name that a file of ours could have.
func fileName(r *http.Request) (string, bool) {
	if r.URL.RawPath != "" || strings.ContainsAny(r.URL.Path, "\x00\\") {
		return "", false // spelled so that two readers could disagree about it
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		return index, true
	}
	name = strings.TrimSuffix(name, "/")
	if !fs.ValidPath(name) || strings.HasPrefix(name, ".") || strings.Contains(name, "/.") {
		return "", false
	}
	return name, true
}

// Navigates reports whether r is a person going to a page, rather than a page asking for a part.
func Navigates(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// file answers with the file, if there is one.
func (s *Site) file(w http.ResponseWriter, r *http.Request, name string) bool {
	plain, err := fs.Stat(s.files, name)
	if err != nil || !plain.Mode().IsRegular() {
		return false
	}
	encoding, stored := s.bestCopy(r, name)
	f, err := s.files.Open(stored)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // was only read
	content, ok := f.(io.ReadSeeker)
	info, err := f.Stat()
	if err != nil || !ok {
		return false
	}
	validator, err := etag(name, encoding, content)
	if err != nil {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", contentType(name))
	h.Add("Vary", "Accept-Encoding")
	h.Set("ETag", validator)
	h.Set("Content-Security-Policy", policy(r, ""))
	h.Set("Cache-Control", askMe)
	if strings.HasPrefix(name, hashed) {
		h.Set("Cache-Control", forEver)
	}
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	http.ServeContent(w, r, "", info.ModTime(), content)
	return true
}

// bestCopy is the file to send for name, and how it is encoded.
func (s *Site) bestCopy(r *http.Request, name string) (encoding, stored string) {
	accepted := r.Header.Get("Accept-Encoding")
	for _, c := range []struct{ encoding, suffix string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if !accepts(accepted, c.encoding) {
			continue
		}
		if info, err := fs.Stat(s.files, name+c.suffix); err == nil && info.Mode().IsRegular() {
			return c.encoding, name + c.suffix
		}
	}
	return "", name
}

// accepts reports whether an Accept-Encoding header names encoding and does not refuse it.
func accepts(header, encoding string) bool {
	for item := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		if !strings.EqualFold(strings.TrimSpace(name), encoding) {
			continue
		}
		q := strings.ReplaceAll(params, " ", "")
		return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
	}
	return false
}

// contentType does not ask the system, whose tables differ.
func contentType(name string) string {
	switch ext := strings.ToLower(path.Ext(name)); ext {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".svg":
		return "image/svg+xml"
	case ".png", ".webp", ".avif", ".jpg", ".gif":
		return mime.TypeByExtension(ext)
	case ".ico":
		return "image/x-icon"
	case ".woff2":
		return "font/woff2"
	case ".wasm":
		return "application/wasm"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

// page answers with the app.
func (s *Site) page(w http.ResponseWriter, r *http.Request) {
	html, err := fs.ReadFile(s.files, index)
	if errors.Is(err, fs.ErrNotExist) {
		missing(w, r)
		return
	}
	if err != nil {
		problem.Write(w, r, fmt.Errorf("read the app: %w", err))
		return
	}
	writePage(w, r, http.StatusOK, html)
}
