// Command reference shows the API as a page, from the OpenAPI files in services/api/openapi, which it reads again for each request:
//
//	go run ./tools/dev/reference -addr 127.0.0.1:8090
package main

import (
	"cmp"
	_ "embed"
	"flag"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

//go:embed page.html
var page string

type document struct {
	Info  struct{ Title, Description string }
	Paths map[string]map[string]any
}

type operation struct {
	Method, Path, Summary, Description string
	Answers                            []string
}

type section struct {
	Title, Description, File string
	Operations               []operation
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8090", "where to listen")
	dir := flag.String("dir", filepath.Join("services", "api", "openapi"), "the `folder` of the OpenAPI files")
	flag.Parse()
	server := &http.Server{Addr: *addr, Handler: handler(*dir), ReadHeaderTimeout: 5 * time.Second}
	if err := server.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func handler(dir string) http.Handler {
	shown := template.Must(template.New("page").Parse(page))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		sections, err := read(dir)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = shown.Execute(w, sections) // who left does not want to know
	})
	mux.Handle("GET /files/", http.StripPrefix("/files/", http.FileServer(http.Dir(dir))))
	return mux
}

// read makes a section of each file that has paths.
func read(dir string) ([]section, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var all []section
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var d document
		if err := yaml.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(d.Paths) > 0 {
			all = append(all, section{d.Info.Title, d.Info.Description, filepath.Base(path), operations(d)})
		}
	}
	return all, nil
}

func operations(d document) []operation {
	var all []operation
	for path, methods := range d.Paths {
		for method, said := range methods {
			o, ok := said.(map[string]any)
			if !ok || o["responses"] == nil { // parameters of the path
				continue
			}
			found := operation{Method: strings.ToUpper(method), Path: path}
			found.Summary, _ = o["summary"].(string)
			found.Description, _ = o["description"].(string)
			answers, _ := o["responses"].(map[string]any)
			for status := range answers {
				found.Answers = append(found.Answers, status)
			}
			slices.Sort(found.Answers)
			all = append(all, found)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method)) })
	return all
}
