package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/admission"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/session"
	"noteworks.dev/services/user/internal/tenant"
)

// work counts what was hashed; a password's hash is itself.
type work struct {
	mu             sync.Mutex
	hashed, verify int
	outdated       bool
}

func (w *work) Hash(_ context.Context, password string) (person.PasswordHash, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hashed++
	return person.PasswordHash(password), nil
}

func (w *work) Verify(_ context.Context, hash person.PasswordHash, password string) (ok, outdated bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verify++
	return hash != "" && string([]byte(hash)) == password, w.outdated, nil
}

// memory is a store of people by address, which opens any session.
type memory struct {
	session.Store

	mu       sync.Mutex
	people   map[person.Email]person.Person
	entrance admission.Entrance
	away     error
	rehashed person.PasswordHash
}

func (m *memory) PersonByEmail(_ context.Context, _ tenant.ID, email person.Email) (person.Person, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return person.Person{}, m.away
	}
	p, ok := m.people[email]
	if !ok {
		return person.Person{}, person.ErrNotFound
	}
	return p, nil
}

func (m *memory) Entrance(context.Context, tenant.ID, admission.Application) (admission.Entrance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entrance, m.away
}

func (m *memory) Join(_ context.Context, _ admission.Application, p person.Person, _ session.Session, _ ...person.Fact) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.people[p.Email] = p
	return nil
}

func (m *memory) Open(_ context.Context, _ person.Person, _ session.Session, rehashed person.PasswordHash) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rehashed = rehashed
	return nil
}

type signer struct{}

func (signer) Sign(context.Context, person.Person, session.ID) (session.Access, error) {
	return session.Access{Token: "token", Expires: time.Minute}, nil
}

func sessions(m *memory, w *work) *session.Sessions {
	return session.NewSessions(m, w, signer{}, session.Config{
		Lifetimes: lifetimes(), Now: time.Now, NewID: func() (string, error) { return id, nil },
	})
}

func people() *memory {
	return &memory{people: map[person.Email]person.Person{
		"ann@example.org": {ID: "ann", Active: true, Password: "right"},
		"gus@example.org": {ID: "gus", Active: false, Password: "right"},
	}}
}

func TestEveryFailedSignInCostsTheSame(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ address, password string }{
		"wrong password":  {"ann@example.org", "wrong"},
		"nobody":          {"nobody@example.org", "right"},
		"no address":      {"nobody", "right"},
		"deactivated":     {"gus@example.org", "right"},
		"nothing":         {"", ""},
		"nobody, nothing": {"nobody@example.org", ""},
	} {
		w := &work{}
		_, err := sessions(people(), w).SignIn(t.Context(), "w", c.address, c.password)
		if !errors.Is(err, session.ErrWrongCredentials) || w.verify != 1 || w.hashed != 0 {
			t.Errorf("%s: %v after %d verifications and %d hashes; want one and none", name, err, w.verify, w.hashed)
		}
	}
}

func TestASignInMakesAnOldHashAgain(t *testing.T) {
	t.Parallel()
	m, w := people(), &work{outdated: true}
	if _, err := sessions(m, w).SignIn(t.Context(), "w", "ann@example.org", "right"); err != nil {
		t.Fatal(err)
	}
	if m.rehashed == "" || w.hashed != 1 {
		t.Errorf("rehashed %v with %d hashes", m.rehashed != "", w.hashed)
	}
}

func TestAStoreThatIsAwayIsNotAWrongPassword(t *testing.T) {
	t.Parallel()
	m := people()
	m.away = errs.Unavailable("away", "")
	s := sessions(m, &work{})
	if _, err := s.SignIn(t.Context(), "w", "ann@example.org", "right"); errs.CodeOf(err) != "away" {
		t.Errorf("signing in: %v", err)
	}
	if _, err := s.SignUp(t.Context(), "w", person.Newcomer{Email: "bob@example.org", Name: "Bob", Password: "the owl of minerva"}, admission.NoCode); errs.CodeOf(err) != "away" {
		t.Errorf("signing up: %v", err)
	}
}

func TestManySignUpsOfOneAddressHashOnce(t *testing.T) {
	t.Parallel()
	m, w := people(), &work{}
	s := sessions(m, w)
	var all sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 200 {
		all.Go(func() {
			_, err := s.SignUp(t.Context(), "w", person.Newcomer{Email: "bob@example.org", Name: "Bob", Password: "the owl of minerva"}, admission.NoCode)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, person.ErrEmailTaken) {
				t.Errorf("sign-up: %v", err)
			}
		})
	}
	all.Wait()
	if won != 1 || w.hashed != 1 {
		t.Errorf("%d won with %d hashes, want one with one", won, w.hashed)
	}
}
