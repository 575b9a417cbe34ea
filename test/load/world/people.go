package world

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// The databases of the services.
const (
	users = "users"
	notes = "notes"
)

// Person is somebody who may call the API: an id, an address to sign in with, a token, and their workspace with its host.
type Person struct{ ID, Email, Token, Workspace, Host string }

// Workspace is one of the stack's.
type Workspace struct{ ID, Host string }

// Default is the workspace that every stack has.
func (w *World) Default(ctx context.Context) (Workspace, error) {
	at := Workspace{Host: w.host}
	err := w.in(ctx, users, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `select workspace_id::text from slugs where slug = 'default'`).Scan(&at.ID)
	})
	return at, err
}

// People makes members of a workspace, in the tables of both services, as if they had signed up: to sign up costs 28 ms of a core, on purpose. They
// have the password of the stack's owner, and tokens signed with the stack's own key that last for tokenLife.
func (w *World) People(ctx context.Context, at Workspace, n int) ([]Person, error) {
	return w.peopleOf(ctx, slices.Repeat([]Workspace{at}, n))
}

// peopleOf makes one person for each workspace named, as People does.
func (w *World) peopleOf(ctx context.Context, spaces []Workspace) ([]Person, error) {
	people := make([]Person, len(spaces))
	var at, ids, emails, names []string
	for i, space := range spaces {
		number := w.met.Add(1)
		p := Person{ID: uuid.NewString(), Email: fmt.Sprintf("person%d@example.com", number), Workspace: space.ID, Host: space.Host}
		people[i], at, ids, emails, names = p, append(at, space.ID), append(ids, p.ID), append(emails, p.Email), append(names, fmt.Sprintf("Person %d", number))
	}
	var owner string
	err := w.in(ctx, users, func(conn *pgx.Conn) error {
		_, err := cloning{
			table: "people", like: "t.email = $5", from: "unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as p (workspace, id, email, name)",
			set: map[string]string{
				"workspace_id": "p.workspace", "id": "p.id", "email": "p.email", "name": "p.name", "sort_name": "lower(p.name)", "role": "'member'",
			},
		}.run(ctx, conn, at, ids, emails, names, w.Email)
		if err != nil {
			return err
		}
		if err := conn.QueryRow(ctx, `select id::text from people where email = $1`, w.Email).Scan(&owner); err != nil {
			return err
		}
		return sign(ctx, conn, people)
	})
	if err != nil {
		return nil, fmt.Errorf("make people: %w", err)
	}
	err = w.in(ctx, notes, func(conn *pgx.Conn) error {
		if err := appears(ctx, conn, `select exists (select from people where id = $1)`, owner); err != nil {
			return err
		}
		_, err := cloning{
			table: "people", like: "t.id = $4", from: "unnest($1::uuid[], $2::uuid[], $3::text[]) as p (workspace, id, name)",
			set: map[string]string{"workspace_id": "p.workspace", "id": "p.id", "name": "p.name"},
		}.run(ctx, conn, at, ids, names, owner)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make people known to notes: %w", err)
	}
	return people, nil
}

// tokenLife outlasts every run.
const tokenLife = 3 * time.Hour

// sign gives people tokens as the user service does, for sessions that nobody can end.
func sign(ctx context.Context, conn *pgx.Conn, people []Person) error {
	var (
		kid  string
		seed []byte
	)
	err := conn.QueryRow(ctx, `select id, seed from signing_keys where signs_from <= now() order by signs_from desc limit 1`).Scan(&kid, &seed)
	if err != nil {
		return fmt.Errorf("the key that signs: %w", err)
	}
	key, now := ed25519.NewKeyFromSeed(seed), time.Now().Add(-time.Second)
	for i := range people {
		t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
			"iss": "noteworks", "aud": []string{"noteworks-api"}, "sub": people[i].ID, "wid": people[i].Workspace, "sid": uuid.NewString(), "jti": uuid.NewString(),
			"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(tokenLife).Unix(),
		})
		t.Header["kid"] = kid
		if people[i].Token, err = t.SignedString(key); err != nil {
			return err
		}
	}
	return nil
}

// appears waits until a question is answered by yes, ten seconds at most: what events bring comes a moment later.
func appears(ctx context.Context, conn *pgx.Conn, question string, args ...any) error {
	for deadline := time.Now().Add(10 * time.Second); ; {
		var yes bool
		if err := conn.QueryRow(ctx, question, args...).Scan(&yes); err != nil || yes {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not so within 10 s: %s", question)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
