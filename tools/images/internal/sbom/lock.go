package sbom

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

const modules = "node_modules/"

// lock is npm's package-lock.json, as far as it is needed.
type lock struct {
	Version  int               `json:"lockfileVersion"`
	Packages map[string]locked `json:"packages"`
}

type locked struct {
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	License      string            `json:"license"`
	Integrity    string            `json:"integrity"`
	Dependencies map[string]string `json:"dependencies"`
}

// OfLock answers the packages that the app of this package-lock.json is bundled from: its dependencies and theirs. What is only there
// to build and test (devDependencies), or offered by somebody who may as well not use it (peers and optional ones), is not.
func OfLock(path string) ([]Part, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var l lock
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if l.Version < 2 {
		return nil, fmt.Errorf("%s is of lockfileVersion %d; it should be 2 or later", path, l.Version)
	}
	found := map[string]Part{}
	if err := l.follow("", found); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var parts []Part
	for _, p := range found {
		parts = append(parts, p)
	}
	return parts, nil
}

// follow adds what the package at place needs.
func (l *lock) follow(place string, found map[string]Part) error {
	for name := range l.Packages[place].Dependencies {
		at, ok := l.resolve(place, name)
		if !ok {
			return fmt.Errorf("%s needs %s, which is not locked", place, name)
		}
		if _, ok := found[at]; ok {
			continue
		}
		part, err := l.Packages[at].part(name)
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		part.Place = at
		found[at] = part
		if err := l.follow(at, found); err != nil {
			return err
		}
	}
	return nil
}

// resolve finds name as Node does: beside its user, then in each folder further up.
func (l *lock) resolve(place, name string) (string, bool) {
	for {
		at := modules + name
		if place != "" {
			at = place + "/" + at
		}
		if _, ok := l.Packages[at]; ok {
			return at, true
		}
		if place == "" {
			return "", false
		}
		place = strings.TrimSuffix(place[:strings.LastIndex("/"+place, "/"+modules)], "/")
	}
}

func (p locked) part(name string) (Part, error) {
	if p.Name != "" { // an alias: npm:other@1
		name = p.Name
	}
	part := Part{Name: name, Version: p.Version, License: p.License, URL: "pkg:npm/" + escape(name) + "@" + escape(p.Version)}
	if sum, ok := strings.CutPrefix(p.Integrity, "sha512-"); ok {
		raw, err := base64.StdEncoding.DecodeString(sum)
		if err != nil {
			return Part{}, fmt.Errorf("integrity: %w", err)
		}
		part.SHA512 = hex.EncodeToString(raw)
	}
	return part, nil
}
