// Package notice collects what the licenses of others ask of who passes their work on: their texts, each once, under the names of
// all that it holds for.
//
// The same files give the same bytes. Imports the standard library only; knows nothing of images.
package notice

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Work is something of others that is passed on.
type Work struct {
	Name string // with its version
	Dir  string // where its files are on this machine
	// Used are the folders below Dir that are used, if not all of it is: they may have licenses of their own.
	Used []string
	// License is what it declares, said of a work that brings no text.
	License string
}

// Write answers own, the license of the whole, and then the texts of works.
func Write(own []byte, works []Work) ([]byte, error) {
	held := map[string][]string{} // by text
	for _, w := range works {
		texts, err := w.texts()
		if err != nil {
			return nil, fmt.Errorf("license of %s: %w", w.Name, err)
		}
		for _, text := range texts {
			held[text] = append(held[text], w.Name)
		}
	}
	type block struct{ names, text string }
	var blocks []block
	for text, names := range held {
		slices.Sort(names)
		blocks = append(blocks, block{strings.Join(slices.Compact(names), "\n"), text})
	}
	slices.SortFunc(blocks, func(a, b block) int { return cmp.Or(cmp.Compare(a.names, b.names), cmp.Compare(a.text, b.text)) })

	var all bytes.Buffer
	fmt.Fprintf(&all, "%s\n%s\nThis contains the work of others, under these terms.\n", bytes.TrimSpace(own), line)
	for _, b := range blocks {
		fmt.Fprintf(&all, "%s\n%s\n\n%s\n", line, b.names, b.text)
	}
	return all.Bytes(), nil
}

var line = strings.Repeat("=", 80) //nolint:gochecknoglobals // there is no constant of it

// texts are those of Dir and of every folder on the way to those that are used.
func (w *Work) texts() ([]string, error) {
	dirs := []string{w.Dir}
	for _, used := range w.Used {
		below, err := filepath.Rel(w.Dir, used)
		if err != nil || !filepath.IsLocal(below) {
			return nil, errors.Join(fmt.Errorf("%s is not below %s", used, w.Dir), err)
		}
		for ; below != "."; below = filepath.Dir(below) {
			dirs = append(dirs, filepath.Join(w.Dir, below))
		}
	}
	slices.Sort(dirs)
	var all []string
	for _, dir := range slices.Compact(dirs) {
		texts, err := textsIn(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, texts...)
	}
	if len(all) > 0 {
		return all, nil
	}
	if w.License == "" {
		return nil, fmt.Errorf("%s has no license file, and none is declared", w.Dir)
	}
	return []string{"Declares " + w.License + " and brings no text."}, nil
}

func textsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, e := range entries {
		if !e.Type().IsRegular() || !legal(e) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
	}
	return all, nil
}

// legal reports whether the file is called as licenses are: LICENSE, LICENSE-MIT.txt, COPYING, NOTICE ... A license.go is none.
func legal(e fs.DirEntry) bool {
	name := strings.ToUpper(e.Name())
	switch filepath.Ext(name) {
	case ".GO", ".JS", ".TS", ".MJS", ".CJS", ".JSON":
		return false
	}
	for _, stem := range []string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE", "PATENTS"} {
		if strings.HasPrefix(name, stem) {
			return true
		}
	}
	return false
}
