package postgres_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/outbox"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/user/internal/admission"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/postgres"
	"noteworks.dev/services/user/internal/session"
	"noteworks.dev/services/user/internal/tenant"
	"noteworks.dev/services/user/internal/workspace"
)

// told keeps what it is given, so that tests see what would be published.
type told struct{ events []event.Event }

func (t *told) Append(_ *gorm.DB, events ...event.Event) error {
	t.events = append(t.events, events...)
	return nil
}

func (t *told) Forget(tx *gorm.DB, last event.Event) error { return t.Append(tx, last) }

type world struct {
	db    *pgtest.World
	store *postgres.Store
	told  *told
}

func startWorld(t *testing.T) *world {
	t.Helper()
	w := &world{db: pgtest.New(t, outbox.Migrations, postgres.Migrations()), told: &told{}}
	w.store = postgres.New(w.db.DB, w.told)
	return w
}

func newID(t *testing.T) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

// apply makes a workspace with an owner.
func (w *world) apply(t *testing.T, slug workspace.Slug) tenant.ID {
	t.Helper()
	id := tenant.ID(newID(t))
	owner := someone(t, id, "Olga", person.Owner)
	_, err := w.store.Apply(t.Context(), id, slug, func(have *workspace.Workspace) (workspace.Changes, error) {
		have.Slug, have.Title, have.Version, have.CreatedAt = slug, string(slug), 1, time.Now()
		return workspace.Changes{Applied: &workspace.Applied{ID: id, Slug: slug, Title: string(slug), Version: 1}, Owner: &owner}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func someone(t *testing.T, in tenant.ID, name person.Name, as person.Role) person.Person {
	t.Helper()
	return person.Person{
		ID: person.ID(newID(t)), Workspace: in, Email: person.Email(person.SortKey(name) + "@example.org"), Name: name, Role: as, Active: true,
		Password: "$argon2id$none", Version: 1, CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
}

// invite makes an invitation that is open for an hour.
func (w *world) invite(t *testing.T, in tenant.ID, email person.Email) (admission.Invitation, admission.Code) {
	t.Helper()
	code := admission.Code(newID(t))
	i := admission.Invitation{
		ID: admission.ID(newID(t)), Workspace: in, Email: email, CodeHash: code.Hash(), CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
	}
	if err := w.store.Invite(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	return i, code
}

func applicationOf(p person.Person) admission.Application {
	return admission.Application{Email: p.Email, At: p.CreatedAt}
}

func (w *world) join(t *testing.T, in tenant.ID, name person.Name) (person.Person, session.Session) {
	t.Helper()
	p := someone(t, in, name, person.Member)
	s, _, err := session.New(session.ID(newID(t)), p, p.CreatedAt, session.Lifetimes{Absolute: time.Hour, Idle: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Join(t.Context(), applicationOf(p), p, s, p.Registered()); err != nil {
		t.Fatal(err)
	}
	return p, s
}

// TestTheDatabaseKeepsWorkspacesApart takes every rule in Go away: it asks the store itself, in one workspace, for what is another's.
func TestTheDatabaseKeepsWorkspacesApart(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ours, acme := w.apply(t, "ours"), w.apply(t, "acme")
	ann, on := w.join(t, ours, "Ann")
	invited, code := w.invite(t, ours, "bob@example.org")
	rename := func(p *person.Person) ([]person.Fact, error) { return p.Rename("Eve"), nil }
	allow := func(*person.Person) ([]person.Fact, error) { return nil, nil }
	seen := func(*session.Session) ([]person.Fact, error) { return nil, errors.New("the session was seen") }
	before := len(w.told.events)

	for name, err := range map[string]error{
		"read":   second(w.store.Person(t.Context(), acme, ann.ID)),
		"find":   second(w.store.PersonByEmail(t.Context(), acme, ann.Email)),
		"change": second(w.store.Update(t.Context(), acme, ann.ID, rename)),
		"delete": w.store.Delete(t.Context(), acme, ann.ID, allow),
		"readmit": second(w.store.Readmit(t.Context(), acme, ann.ID, func(p *person.Person, _ person.Room) ([]person.Fact, error) {
			return p.Rename("Eve"), nil
		})),
		"take back": w.store.TakeBack(t.Context(), acme, invited.ID),
		"signed in": second(w.store.SignedIn(t.Context(), acme, ann.ID, on.ID, time.Now())),
		"refresh":   second(w.store.Change(t.Context(), acme, on.ID, seen)),
	} {
		if errs.KindOf(err) != errs.KindNotFound && !errors.Is(err, session.ErrEnded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, err := w.store.List(t.Context(), acme, person.Query{Limit: 100})
	if err != nil || len(all) != 1 || all[0].Role != person.Owner {
		t.Errorf("acme lists %v, %v", all, err)
	}
	if open, err := w.store.Invitations(t.Context(), acme, time.Now(), "", 100); err != nil || len(open) != 0 {
		t.Errorf("acme's invitations are %v, %v", open, err)
	}
	bob := admission.Application{Email: invited.Email, Code: code, At: time.Now()}
	if there, err := w.store.Entrance(t.Context(), acme, bob); err != nil || there.Invited {
		t.Errorf("Bob may join %+v, %v", there, err)
	}
	if here, err := w.store.Entrance(t.Context(), ours, bob); err != nil || !here.Invited {
		t.Errorf("Bob may not join: %+v, %v", here, err)
	}
	if len(w.told.events) != before {
		t.Errorf("told %v", w.told.events[before:])
	}
	if p, err := w.store.SignedIn(t.Context(), ours, ann.ID, on.ID, time.Now()); err != nil || p != ann {
		t.Errorf("Ann is %+v, %v; want %+v", p, err, ann)
	}
	w.db.RequireRowSecurity(t)
}

func TestNothingIsSeenWithoutAWorkspace(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ours := w.apply(t, "ours")
	w.join(t, ours, "Ann")
	w.invite(t, ours, "bob@example.org")
	for _, table := range []string{"workspaces", "people", "sessions", "invitations"} {
		if n := w.count(t, func(do func(*gorm.DB) error) error { return w.db.DB.Tx(t.Context(), do) }, table); n != 0 {
			t.Errorf("%d rows of %s", n, table)
		}
		if n := w.db.Count(t, "select count(*) from "+table); n == 0 {
			t.Errorf("%s is empty: the test says nothing", table)
		}
	}
}

func (w *world) count(t *testing.T, in func(func(*gorm.DB) error) error, table string) int64 {
	t.Helper()
	var n int64
	if err := in(func(tx *gorm.DB) error { return tx.Table(table).Count(&n).Error }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNothingIsWrittenIntoAnotherWorkspace(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ours, acme := w.apply(t, "ours"), w.apply(t, "acme")
	inAcme := func(sql string, args ...any) (rows int64, err error) {
		err = w.db.DB.InWorkspace(t.Context(), string(acme), func(tx *gorm.DB) error {
			done := tx.Exec(sql, args...)
			rows = done.RowsAffected
			return done.Error
		})
		return rows, err
	}
	const sneak = `insert into people (workspace_id, id, email, name, sort_name, role, password_hash, version, created_at)
		values (?, gen_random_uuid(), 'eve@example.org', 'Eve', 'eve', 'member', '', 1, now())`
	if _, err := inAcme(sneak, string(ours)); err == nil {
		t.Error("a person was written into another workspace")
	}
	const code = `insert into invitations (workspace_id, id, email, code_hash, created_at, expires_at)
		values (?, gen_random_uuid(), 'eve@example.org', '', now(), now())`
	if _, err := inAcme(code, string(ours)); err == nil {
		t.Error("an invitation into another workspace was written")
	}
	if _, err := inAcme("insert into slugs (slug, workspace_id) values ('stolen', ?)", string(ours)); err == nil {
		t.Error("a slug was given to another workspace")
	}
	for name, sql := range map[string]string{
		"took its slug":     "update slugs set workspace_id = current_setting('noteworks.workspace_id')::uuid where workspace_id = ?",
		"freed its slug":    "delete from slugs where workspace_id = ?",
		"changed its title": "update workspaces set title = 'e' where id = ?",
		"deleted it":        "delete from workspaces where id = ?",
		"ended its people":  "delete from people where workspace_id = ?",
		"took its claim":    "update slugs set claim = current_setting('noteworks.workspace_id')::uuid where workspace_id = ?",
		"took its host":     "update slugs set host = null where workspace_id = ?",
		"opened it":         "update workspaces set policy = '{}', released_at = null where id = ?",
		"uninvited":         "delete from invitations where workspace_id = ?",
	} {
		if rows, err := inAcme(sql, string(ours)); err != nil || rows != 0 {
			t.Errorf("another workspace %s: %d rows, %v", name, rows, err)
		}
	}
	if got, err := w.store.Resolve(t.Context(), "ours"); err != nil || got != ours {
		t.Errorf("ours leads to %s, %v", got, err)
	}
}

func TestTheOldestOfTooManySessionsEnds(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ours := w.apply(t, "ours")
	ann, first := w.join(t, ours, "Ann")
	now := ann.CreatedAt
	for range 100 {
		now = now.Add(time.Second)
		s, _, err := session.New(session.ID(newID(t)), ann, now, session.Lifetimes{Absolute: time.Hour, Idle: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.store.Open(t.Context(), ann, s, ""); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.db.Count(t, "select count(*) from sessions"); n != 100 {
		t.Errorf("%d sessions, want 100", n)
	}
	if _, err := w.store.SignedIn(t.Context(), ours, ann.ID, first.ID, now); !errors.Is(err, session.ErrEnded) {
		t.Errorf("the first session: %v", err)
	}
	late, _, err := session.New(session.ID(newID(t)), ann, now.Add(2*time.Hour), session.Lifetimes{Absolute: time.Hour, Idle: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Open(t.Context(), ann, late, ""); err != nil {
		t.Fatal(err)
	}
	if n := w.db.Count(t, "select count(*) from sessions"); n != 1 {
		t.Errorf("%d sessions, want the expired ones gone", n)
	}
}

func TestNobodyOpensASessionWithWhatChangedMeanwhile(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ours := w.apply(t, "ours")
	ann, _ := w.join(t, ours, "Ann")
	open := func(as person.Person, rehashed person.PasswordHash) error {
		s, _, err := session.New(session.ID(newID(t)), as, time.Now(), session.Lifetimes{Absolute: time.Hour, Idle: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return w.store.Open(t.Context(), as, s, rehashed)
	}
	other := ann
	other.Password = "$argon2id$before"
	if err := open(other, ""); !errors.Is(err, session.ErrWrongCredentials) {
		t.Errorf("with the password before: %v", err)
	}
	if err := open(ann, "$argon2id$stronger"); err != nil {
		t.Fatal(err)
	}
	now, err := w.store.Person(t.Context(), ours, ann.ID)
	if err != nil || now.Password != "$argon2id$stronger" {
		t.Errorf("the stronger hash was not kept: %v", err)
	}
	deactivate := func(p *person.Person) ([]person.Fact, error) { p.Active = false; return nil, nil }
	if _, err := w.store.Update(t.Context(), ours, ann.ID, deactivate); err != nil {
		t.Fatal(err)
	}
	if err := open(now, ""); !errors.Is(err, session.ErrWrongCredentials) {
		t.Errorf("deactivated: %v", err)
	}
	gone := someone(t, ours, "Gus", person.Member)
	if err := open(gone, ""); !errors.Is(err, session.ErrWrongCredentials) {
		t.Errorf("deleted: %v", err)
	}
}

// refusing is an outbox that takes nothing.
type refusing struct{}

var errRefused = errors.New("refused")

func (refusing) Append(*gorm.DB, ...event.Event) error { return errRefused }

func (refusing) Forget(*gorm.DB, event.Event) error { return errRefused }

func TestWhatCanNotBeToldIsNotDone(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ours := w.apply(t, "ours")
	ann, on := w.join(t, ours, "Ann")
	mute := postgres.New(w.db.DB, refusing{})
	owner := person.Actor{Person: person.Person{ID: "o", Role: person.Owner, Workspace: ours}}
	stranger := someone(t, ours, "Sue", person.Member)
	s, _, err := session.New(session.ID(newID(t)), stranger, time.Now(), session.Lifetimes{Absolute: time.Hour, Idle: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"rename": second(mute.Update(t.Context(), ours, ann.ID, func(p *person.Person) ([]person.Fact, error) { return p.Rename("Eve"), nil })),
		"keep out": second(mute.Update(t.Context(), ours, ann.ID, func(p *person.Person) ([]person.Fact, error) {
			return p.Deactivate(owner)
		})),
		"delete": mute.Delete(t.Context(), ours, ann.ID, func(p *person.Person) ([]person.Fact, error) { return p.Delete(owner) }),
		"sign out": second(mute.Change(t.Context(), ours, on.ID, func(s *session.Session) ([]person.Fact, error) {
			return []person.Fact{s.End(person.SignedOut)}, nil
		})),
		"let in again": second(mute.Readmit(t.Context(), ours, ann.ID, func(p *person.Person, _ person.Room) ([]person.Fact, error) {
			return p.Rename("Eve"), nil
		})),
		"sign up":            mute.Join(t.Context(), applicationOf(stranger), stranger, s, stranger.Registered()),
		"delete a workspace": mute.DeleteWorkspace(t.Context(), ours),
		"apply a new one":    applyWith(t.Context(), mute, tenant.ID(newID(t)), "new"),
		"move one":           applyWith(t.Context(), mute, ours, "moved"),
	} {
		if !errors.Is(err, errRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p, err := w.store.SignedIn(t.Context(), ours, ann.ID, on.ID, time.Now()); err != nil || p != ann {
		t.Errorf("Ann is %+v, %v; want %+v", p, err, ann)
	}
	if n := w.db.Count(t, "select count(*) from people"); n != 2 {
		t.Errorf("%d people", n)
	}
	if n := w.db.Count(t, "select count(*) from slugs where slug = 'ours'"); n != 1 {
		t.Error("the slug moved")
	}
}

func applyWith(ctx context.Context, s *postgres.Store, id tenant.ID, slug workspace.Slug) error {
	_, err := s.Apply(ctx, id, slug, func(have *workspace.Workspace) (workspace.Changes, error) {
		have.Slug, have.Version, have.CreatedAt = slug, have.Version+1, time.Now()
		return workspace.Changes{Applied: &workspace.Applied{ID: id, Slug: slug, Version: have.Version}}, nil
	})
	return err
}

// limit lets so many active people into a workspace.
func (w *world) limit(t *testing.T, in tenant.ID, members int32) {
	t.Helper()
	_, err := w.store.Apply(t.Context(), in, "", func(have *workspace.Workspace) (workspace.Changes, error) {
		have.Policy.Limits.Members = members
		have.Version++
		return workspace.Changes{Applied: &workspace.Applied{ID: in, Slug: have.Slug, Version: have.Version}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAHundredWantTheLastPlaces: who signs up and who is let in again, all at once, where there is room for ten.
func TestAHundredWantTheLastPlaces(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ours := w.apply(t, "ours")
	store := postgres.New(w.db.DB, silent{}) // which many may use at once
	var waiting []person.ID
	for i := range 20 {
		p, _ := w.join(t, ours, person.Name("gone"+strconv.Itoa(i)))
		waiting = append(waiting, p.ID)
		if _, err := store.Update(t.Context(), ours, p.ID, func(p *person.Person) ([]person.Fact, error) { p.Active = false; return nil, nil }); err != nil {
			t.Fatal(err)
		}
	}
	w.limit(t, ours, 10)
	owner := person.Actor{Person: person.Person{ID: "o", Role: person.Owner, Workspace: ours}}
	var in, out atomic.Int32
	count := func(err error) {
		switch {
		case err == nil:
			in.Add(1)
		case errors.Is(err, person.ErrNoRoom):
			out.Add(1)
		default:
			t.Errorf("refused with %v", err)
		}
	}
	var all sync.WaitGroup
	for i := range 80 {
		p := someone(t, ours, person.Name("new"+strconv.Itoa(i)), person.Member)
		s, _, err := session.New(session.ID(newID(t)), p, p.CreatedAt, session.Lifetimes{Absolute: time.Hour, Idle: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() { count(store.Join(t.Context(), applicationOf(p), p, s, p.Registered())) })
	}
	for _, id := range waiting {
		all.Go(func() {
			count(second(store.Readmit(t.Context(), ours, id, func(p *person.Person, room person.Room) ([]person.Fact, error) { return p.Reactivate(owner, room) })))
		})
	}
	all.Wait()
	if n := w.db.Count(t, "select count(*) from people where active"); n != 10 || in.Load() != 9 || out.Load() != 91 {
		t.Errorf("%d are active, %d came in, %d did not", n, in.Load(), out.Load())
	}
}

// silent is an outbox that takes everything and tells nobody.
type silent struct{}

func (silent) Append(*gorm.DB, ...event.Event) error { return nil }

func (silent) Forget(*gorm.DB, event.Event) error { return nil }

// TestWorkspacesFromBeforePolicies are open, without limits, and nobody's.
func TestWorkspacesFromBeforePolicies(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := newID(t)
	w.db.Exec(t, "insert into workspaces (id, title, version, created_at) values ($1, 'Old', 3, now())", id)
	w.db.Exec(t, "insert into slugs (slug, workspace_id) values ('old', $1)", id)
	old, err := w.store.Sought(t.Context(), tenant.ID(id), "")
	if err != nil || old.Claim != old.ID || old.Version != 3 || old.Administrator != "" || old.Host != "" || old.Suspended() ||
		old.Policy.Admission.SignUp != admission.Open || old.Policy.Limits != (workspace.Limits{}) {
		t.Errorf("it is %+v, %v", old, err)
	}
}

func second[T any](_ T, err error) error { return err }
