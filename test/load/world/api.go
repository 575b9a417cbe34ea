package world

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"noteworks.dev/test/load/wire"
)

// Note is a note that was written.
type Note struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
}

// Write has a person write a note through the API.
func (w *World) Write(by Person, title, body string, tags ...string) (Note, error) {
	h := wire.NewHTTP(w.Addr(), by.Host, by.Token)
	defer h.Close()
	text, err := json.Marshal(map[string]any{"title": title, "body": body, "tags": append([]string{}, tags...)})
	if err != nil {
		return Note{}, err
	}
	var n Note
	return n, do(h, http.MethodPost, "/api/v1/notes", text, &n)
}

// Share has a person share a note with another, as a viewer, through the API.
func (w *World) Share(by Person, note string, with Person) error {
	h := wire.NewHTTP(w.Addr(), by.Host, by.Token)
	defer h.Close()
	return do(h, http.MethodPut, "/api/v1/notes/"+note+"/shares/"+with.ID, []byte(`{"role":"viewer"}`), nil)
}

func do(h *wire.HTTP, method, path string, body []byte, into any) error {
	a, err := h.Do(method, path, "", body)
	if err != nil {
		return err
	}
	if a.Status/100 != 2 {
		return fmt.Errorf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(a.Body, into)
}

// ShareWithAll shares a note with people: with the first through the API, with the others by rows like the one that made.
func (w *World) ShareWithAll(ctx context.Context, by Person, note string, people []Person) error {
	if len(people) == 0 {
		return nil
	}
	if err := w.Share(by, note, people[0]); err != nil {
		return err
	}
	ids := make([]string, 0, len(people))
	for _, p := range people[1:] {
		ids = append(ids, p.ID)
	}
	return w.in(ctx, notes, func(conn *pgx.Conn) error {
		_, err := cloning{
			table: "note_access", like: "t.note_id = $2 and t.person_id = $3", from: "unnest($1::uuid[]) as p (id)",
			set: map[string]string{"person_id": "p.id"},
		}.run(ctx, conn, ids, note, people[0].ID)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, `update notes set access_version = access_version + 1 where id = $1`, note)
		return err
	})
}
