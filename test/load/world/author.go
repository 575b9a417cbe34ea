package world

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"noteworks.dev/test/load/wire"
)

// Author changes one note over one connection.
type Author struct {
	Note    string
	Version int

	http *wire.HTTP
	body []byte
}

// NewAuthor is a person who changes a note that is at version, through the door addr.
func NewAuthor(addr string, p Person, note string, version int) *Author {
	return &Author{Note: note, Version: version, http: wire.NewHTTP(addr, p.Host, p.Token)}
}

// filler makes a body of about 470 bytes: a short note.
const filler = ` The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. ` +
	`The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. ` +
	`The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog. `

// Change writes the note once more, stamped with the time it was meant for.
func (a *Author) Change(at time.Time) error {
	a.body = strconv.AppendInt(append(a.body[:0], `{"body":"`...), at.UnixNano(), 10)
	a.body = append(append(a.body, filler...), `"}`...)
	answer, err := a.http.Do(http.MethodPatch, "/api/v1/notes/"+a.Note, `"`+strconv.Itoa(a.Version)+`"`, a.body)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("change: %d %s", answer.Status, answer.Body)
	}
	if want := `"` + strconv.Itoa(a.Version+1) + `"`; answer.Header.Get("Etag") != want {
		return fmt.Errorf("change: answered the version %s after %d", answer.Header.Get("Etag"), a.Version)
	}
	a.Version++
	return nil
}

// Close ends the connection.
func (a *Author) Close() { a.http.Close() }
