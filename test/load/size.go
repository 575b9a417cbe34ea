package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"time"

	"noteworks.dev/test/load/measure"
	"noteworks.dev/test/load/wire"
	"noteworks.dev/test/load/world"
)

// readerSees is the part of the notes that the second person sees: one in so many.
const readerSees = 1000

// sizes asks workspaces of 1,000, 100,000 and 1 million notes the same questions.
func sizes(ctx context.Context, s *suite) (*measure.Result, error) {
	counts := []int{1000, 100_000, s.notes}
	w, teams, err := s.seeded(ctx, counts)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := w.Settle(ctx); err != nil {
		return nil, err
	}
	r := &measure.Result{
		Title: "Reading, listing and searching one workspace by its size (ms, median / 95 of 100)",
		Text: fmt.Sprintf("All three workspaces are in one database. One request at a time, %d of each kind, through the gateway. Pages are of 50. The owner sees every note, the reader one of %s. A rare word is in about "+
			"one note of 1,000, a usual one in one of 40, the frequent one in nearly every note.", questions, thousands(readerSees)),
		Figures: map[string]float64{},
	}
	for i, n := range counts {
		r.Columns = append(r.Columns,
			measure.Column{Key: fmt.Sprintf("p50 %d", n), Title: thousands(n), Format: "%.1f"}, measure.Column{Key: fmt.Sprintf("p95 %d", n), Title: "p95", Format: "%.1f"})
		if err := ask(r, w.Addr(), teams[i], n); err != nil {
			return r, err
		}
	}
	return r, r.Verdict.Err()
}

// questions is how many of each kind are asked.
const questions = 200

// ask fills the columns of one size.
func ask(r *measure.Result, addr string, t world.Team, notes int) error {
	owner, reader := wire.NewHTTP(addr, t.Host, t.Owner.Token), wire.NewHTTP(addr, t.Host, t.Reader.Token)
	defer owner.Close()
	defer reader.Close()
	known, err := list(owner, "limit=50")
	if err != nil {
		return err
	}
	if err := found(r, owner, known); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, uint64(notes))) // the same questions each time
	search := func(h *wire.HTTP, words func() string) func() error {
		return func() error { _, err := list(h, "limit=50&q="+url.QueryEscape(words())); return err }
	}
	rare := func() string { return world.Word(8000 + random.IntN(4000)) }
	usual := func() string { return world.Word(80 + random.IntN(40)) }
	for _, q := range []struct {
		label string
		once  func() error
	}{
		{"read a note", func() error { return do(owner, "/api/v1/notes/"+known[random.IntN(len(known))].ID) }},
		{"list, owner", func() error { _, err := list(owner, "limit=50"); return err }},
		{"list, reader", func() error { _, err := list(reader, "limit=50"); return err }},
		{searchRare, search(owner, rare)},
		{searchUsual, search(owner, usual)},
		{searchTwo, search(owner, func() string { return rare() + " " + usual() })},
		{searchReader, search(reader, usual)},
		{"search, the frequent word, owner", search(owner, func() string { return world.Word(0) })},
		{"search, the frequent word, reader", search(reader, func() string { return world.Word(0) })},
	} {
		took := measure.NewLatencies()
		for began := time.Now(); took.Count() < questions && time.Since(began) < 15*time.Second; {
			from := time.Now()
			if err := q.once(); err != nil {
				return fmt.Errorf("%s: %w", q.label, err)
			}
			took.Record(time.Since(from))
		}
		put(r, q.label, map[string]float64{
			fmt.Sprintf("p50 %d", notes): measure.Millis(took.At(50)), fmt.Sprintf("p95 %d", notes): measure.Millis(took.At(95)),
		})
	}
	return nil
}

// The searches that the target is about: what people look for.
const (
	searchRare   = "search, a rare word, owner"
	searchUsual  = "search, a usual word, owner"
	searchTwo    = "search, a rare and a usual word, owner"
	searchReader = "search, a usual word, reader"
)

// put adds values to the row of a label.
func put(r *measure.Result, label string, values map[string]float64) {
	at := slices.IndexFunc(r.Rows, func(row measure.Row) bool { return row.Label == label })
	if at < 0 {
		at = len(r.Rows)
		r.Rows = append(r.Rows, measure.Row{Label: label, Values: map[string]float64{}})
	}
	for k, v := range values {
		r.Rows[at].Values[k] = v
	}
}

type listed struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// found searches seeded notes by their titles, and the one that was written through the API by its own: both have to be there, first or on the first page.
func found(r *measure.Result, h *wire.HTTP, known []listed) error {
	for _, n := range known[:min(10, len(known))] {
		hits, err := list(h, "limit=50&q="+url.QueryEscape(n.Title))
		if err != nil {
			return err
		}
		r.Verdict.Written++
		if slices.ContainsFunc(hits, func(hit listed) bool { return hit.ID == n.ID }) {
			r.Verdict.Seen++
		} else {
			r.Verdict.Lost++
		}
	}
	return nil
}

func list(h *wire.HTTP, query string) ([]listed, error) {
	a, err := h.Do(http.MethodGet, "/api/v1/notes?"+query, "", nil)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, fmt.Errorf("list %s: %d %s", query, a.Status, a.Body)
	}
	var page struct {
		Items []listed `json:"items"`
	}
	return page.Items, json.Unmarshal(a.Body, &page)
}

func do(h *wire.HTTP, path string) error {
	a, err := h.Do(http.MethodGet, path, "", nil)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("read %s: %d %s", path, a.Status, a.Body)
	}
	return err
}
