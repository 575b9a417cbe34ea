package session

import (
	"context"
	"errors"
	"time"

	"noteworks.dev/services/internal/errs"
	"noteworks.dev/services/user/internal/admission"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/tenant"
)

// Store keeps sessions. What a method is given to save, and the facts, are one transaction; sessions end as a SessionsEnded says.
type Store interface {
	// PersonByEmail is person.ErrNotFound for an address that nobody has.
	PersonByEmail(ctx context.Context, in tenant.ID, email person.Email) (person.Person, error)
	// Entrance is the workspace as a finds it now.
	Entrance(ctx context.Context, in tenant.ID, a admission.Application) (admission.Entrance, error)
	// Join saves a new person and their first session, if a is admitted, and uses up an invitation of the address. What lets a pass stays so
	// until all is saved. person.ErrEmailTaken if someone has the address.
	Join(ctx context.Context, a admission.Application, p person.Person, s Session, facts ...person.Fact) error
	// Open saves a session of p, with p's password if rehashed. ErrWrongCredentials if p is not active any more, or has
	// another password than p.Password by now.
	Open(ctx context.Context, p person.Person, s Session, rehashed person.PasswordHash) error
	// Change locks the session, and saves it and the facts. ErrEnded if it or its person is not there (any more), or not active.
	Change(ctx context.Context, in tenant.ID, id ID, change func(*Session) ([]person.Fact, error)) (person.Person, error)
	// SignedIn is the active person of a session that has not expired at now; otherwise ErrEnded.
	SignedIn(ctx context.Context, in tenant.ID, who person.ID, id ID, now time.Time) (person.Person, error)
}

// Access is a signed access token.
type Access struct {
	Token   string
	Expires time.Duration
}

// Signer issues access tokens for a person's session.
type Signer interface {
	Sign(ctx context.Context, p person.Person, id ID) (Access, error)
}

// ErrReused is the cause of an ErrEnded that ended the session there and then: somebody may have copied its token.
var ErrReused = errors.New("a refresh token came back after its grace; its session is ended")

// Config is the clock, the ids and the lifetimes of sessions.
type Config struct {
	Lifetimes Lifetimes
	Now       func() time.Time
	NewID     func() (string, error)
}

// Sessions is signing up, in and out.
type Sessions struct {
	store  Store
	hasher person.Hasher
	signer Signer
	cfg    Config
	// joining keeps many sign-ups of one address from hashing a password each: all but the first find it taken.
	joining turnstile
}

// NewSessions keeps sessions in store.
func NewSessions(store Store, hasher person.Hasher, signer Signer, cfg Config) *Sessions {
	return &Sessions{store: store, hasher: hasher, signer: signer, cfg: cfg}
}

// SignedIn is what a browser gets: who it is, an access token, and the refresh token with what is left of its life.
type SignedIn struct {
	Person  person.Person
	Access  Access
	Refresh Token
	Lasts   time.Duration
}

// SignUp makes a member, if the workspace's rules or an invitation's code allow it, and signs them in.
func (s *Sessions) SignUp(ctx context.Context, in tenant.ID, n person.Newcomer, code admission.Code) (SignedIn, error) {
	prospect, err := n.Check()
	if err != nil {
		return SignedIn{}, err
	}
	leave, err := s.joining.enter(ctx, string(in)+" "+string(prospect.Email))
	if err != nil {
		return SignedIn{}, err
	}
	defer leave()
	applied := admission.Application{Email: prospect.Email, Code: code, At: s.cfg.Now()}
	if err := s.welcome(ctx, in, applied); err != nil {
		return SignedIn{}, err
	}
	return s.join(ctx, in, prospect, applied)
}

func (s *Sessions) join(ctx context.Context, in tenant.ID, prospect person.Prospect, applied admission.Application) (SignedIn, error) {
	id, err := s.cfg.NewID()
	if err != nil {
		return SignedIn{}, err
	}
	p, err := prospect.Join(ctx, in, person.Member, person.ID(id), s.hasher, s.cfg.Now())
	if err != nil {
		return SignedIn{}, err
	}
	return s.begin(ctx, p, func(opened Session) error { return s.store.Join(ctx, applied, p, opened, p.Registered()) })
}

// welcome spares the hashing for who would be turned away anyway; the store has the last word, because others join meanwhile. Who may not join is
// not told who is in.
func (s *Sessions) welcome(ctx context.Context, in tenant.ID, applied admission.Application) error {
	found, err := s.store.Entrance(ctx, in, applied)
	if err != nil {
		return err
	}
	if err := found.Admit(applied); err != nil {
		return err
	}
	return s.free(ctx, in, applied.Email)
}

// free is person.ErrEmailTaken if someone has the address.
func (s *Sessions) free(ctx context.Context, in tenant.ID, email person.Email) error {
	_, err := s.store.PersonByEmail(ctx, in, email)
	switch {
	case err == nil:
		return person.ErrEmailTaken
	case errors.Is(err, person.ErrNotFound):
		return nil
	}
	return err
}

// SignIn answers ErrWrongCredentials for an unknown address, a wrong password and a person who may not come in, after the same work.
func (s *Sessions) SignIn(ctx context.Context, in tenant.ID, address, password string) (SignedIn, error) {
	p, err := s.claimed(ctx, in, address)
	if err != nil {
		return SignedIn{}, err
	}
	ok, outdated, err := s.hasher.Verify(ctx, p.Password, password)
	if err != nil {
		return SignedIn{}, err
	}
	if !ok || !p.Active {
		return SignedIn{}, ErrWrongCredentials
	}
	var rehashed person.PasswordHash
	if outdated {
		if rehashed, err = s.hasher.Hash(ctx, password); err != nil {
			return SignedIn{}, err
		}
	}
	return s.begin(ctx, p, func(opened Session) error { return s.store.Open(ctx, p, opened, rehashed) })
}

// claimed is the person of address, or nobody: the zero Person, whose password nothing matches.
func (s *Sessions) claimed(ctx context.Context, in tenant.ID, address string) (person.Person, error) {
	email, err := person.ParseEmail(address)
	if err != nil {
		return person.Person{}, nil //nolint:nilerr // what is no address is nobody's
	}
	p, err := s.store.PersonByEmail(ctx, in, email)
	if errors.Is(err, person.ErrNotFound) {
		return person.Person{}, nil
	}
	return p, err
}

func (s *Sessions) begin(ctx context.Context, p person.Person, save func(Session) error) (SignedIn, error) {
	id, err := s.cfg.NewID()
	if err != nil {
		return SignedIn{}, err
	}
	opened, token, err := New(ID(id), p, s.cfg.Now(), s.cfg.Lifetimes)
	if err != nil {
		return SignedIn{}, err
	}
	if err := save(opened); err != nil {
		return SignedIn{}, err
	}
	return s.signed(ctx, p, &opened, token)
}

func (s *Sessions) signed(ctx context.Context, p person.Person, on *Session, token Token) (SignedIn, error) {
	access, err := s.signer.Sign(ctx, p, on.ID)
	if err != nil {
		return SignedIn{}, err
	}
	return SignedIn{Person: p, Access: access, Refresh: token, Lasts: on.ExpiresAt.Sub(s.cfg.Now())}, nil
}

// Refresh exchanges a refresh token for the next one and a new access token; ErrEnded when it can not.
func (s *Sessions) Refresh(ctx context.Context, in tenant.ID, cookie string) (SignedIn, error) {
	token, ok := ParseToken(cookie)
	if !ok {
		return SignedIn{}, ErrEnded
	}
	var on Session
	var next Token
	p, err := s.store.Change(ctx, in, token.Session, func(have *Session) (facts []person.Fact, err error) {
		next, facts, err = have.Refresh(token, s.cfg.Now(), s.cfg.Lifetimes)
		on = *have
		return facts, err
	})
	if err != nil {
		return SignedIn{}, err
	}
	if next == (Token{}) {
		return SignedIn{}, ErrEnded.WithCause(ErrReused)
	}
	return s.signed(ctx, p, &on, next)
}

// SignOut ends the session of a refresh token. What is no session's token is signed out already.
func (s *Sessions) SignOut(ctx context.Context, in tenant.ID, cookie string) error {
	token, ok := ParseToken(cookie)
	if !ok {
		return nil
	}
	_, err := s.store.Change(ctx, in, token.Session, func(have *Session) ([]person.Fact, error) {
		if !token.genuine(have.Secret) {
			return nil, ErrEnded
		}
		return []person.Fact{have.End(person.SignedOut)}, nil
	})
	if errs.CodeOf(err) == ErrEnded.Code {
		return nil
	}
	return err
}

// Actor is the person who acts by an access token: verified tokens outlive sessions, so the store is asked.
func (s *Sessions) Actor(ctx context.Context, in tenant.ID, who person.ID, id ID) (person.Actor, error) {
	p, err := s.store.SignedIn(ctx, in, who, id, s.cfg.Now())
	if err != nil {
		return person.Actor{}, err
	}
	return person.Actor{Person: p, Session: string(id)}, nil
}
