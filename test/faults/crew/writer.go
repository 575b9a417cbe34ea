package crew

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"noteworks.dev/test/client"
	"noteworks.dev/test/faults/history"
)

// writer changes one note again and again, at the version it knows of.
type writer struct {
	shift  *Shift
	person *Person
	note   string
	id     int
	random *rand.Rand
}

func (w *writer) write(ctx context.Context) {
	version := w.shift.version(w.note)
	for n := 1; ctx.Err() == nil; n++ {
		// The request outlives the end of the work: what is under way is to be answered.
		done := w.change(context.WithoutCancel(ctx), version, fmt.Sprintf("change %d by writer %d of %s", n, w.id, w.note))
		if done.Outcome != history.Unknown {
			version = done.Version
		} else if known, err := w.look(context.WithoutCancel(ctx)); err == nil { // if not, the next change is tried at the same version
			version = known
		}
		every := w.shift.pace.Every
		_ = pause(ctx, every/2+time.Duration(w.random.Int64N(int64(every))))
	}
}

// change asks for one change and records what became of it. A request that was refused for other reasons than the version has not been done and
// is not recorded.
func (w *writer) change(ctx context.Context, version int, body string) history.Write {
	s := w.shift
	done := history.Write{Note: w.note, Client: w.id, Expected: version, Body: body, Begin: s.Now(), Outcome: history.Unknown}
	var n client.Note
	header, err := w.person.Do(ctx, http.MethodPatch, "/api/v1/notes/"+w.note, http.Header{"If-Match": {strconv.Quote(strconv.Itoa(version))}},
		map[string]string{"body": body}, &n)
	done.End = s.Now()
	done.RetryAfter = header.Get("Retry-After") != ""
	problem, answered := errors.AsType[*client.Problem](err)
	switch {
	case err == nil:
		done.Outcome, done.Version, done.Status = history.Acknowledged, n.Version, http.StatusOK
	case !answered: // no answer
	case problem.Status == http.StatusPreconditionFailed:
		done.Outcome, done.Status = history.Refused, problem.Status
		if json.Unmarshal(problem.Current, &n) != nil {
			done.Outcome = history.Unknown
		}
		done.Version, done.Current = n.Version, n.Body
	case problem.Status == http.StatusUnauthorized:
		w.person.Renew(ctx)
		return done
	case problem.Status/100 == 4:
		return done
	default:
		done.Status = problem.Status
	}
	s.told(w.note, done.Version)
	s.History.Wrote(done)
	return done
}

// look reads the note.
func (w *writer) look(ctx context.Context) (version int, err error) {
	return w.shift.look(ctx, w.person, w.note, 1000+w.id)
}

func (s *Shift) look(ctx context.Context, p *Person, note string, id int) (version int, err error) {
	r := history.Read{Note: note, Client: id, Begin: s.Now()}
	n, err := p.Note(ctx, note)
	if client.StatusOf(err) == http.StatusUnauthorized {
		p.Renew(ctx)
	}
	if err != nil {
		return 0, err
	}
	r.End, r.Version, r.Body = s.Now(), n.Version, n.Body
	s.told(note, n.Version)
	s.History.Did(r)
	return n.Version, nil
}

// lookAround reads all notes, one after the other.
func (s *Shift) lookAround(ctx context.Context, id int, random *rand.Rand) {
	for i := 0; ctx.Err() == nil; i++ {
		_, _ = s.look(context.WithoutCancel(ctx), s.crew.Cat, s.Notes[i%len(s.Notes)], id) // one that is not answered is no read
		_ = pause(ctx, s.pace.Every/2+time.Duration(random.Int64N(int64(s.pace.Every))))
	}
}
