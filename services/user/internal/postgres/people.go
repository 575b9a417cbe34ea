package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/tenant"
)

type personRow struct {
	WorkspaceID  string `gorm:"primaryKey"`
	ID           string `gorm:"primaryKey"`
	Email        string
	Name         string
	SortName     string
	Role         string
	Active       bool
	PasswordHash string
	Version      int32
	CreatedAt    time.Time
}

// TableName is gorm's way to learn it.
func (personRow) TableName() string { return "people" }

func personRowOf(p person.Person) personRow {
	return personRow{
		WorkspaceID: string(p.Workspace), ID: string(p.ID), Email: string(p.Email), Name: string(p.Name), SortName: person.SortKey(p.Name),
		Role: string(p.Role), Active: p.Active, PasswordHash: string(p.Password), Version: p.Version, CreatedAt: p.CreatedAt,
	}
}

func (r personRow) person() person.Person {
	return person.Person{
		ID: person.ID(r.ID), Workspace: tenant.ID(r.WorkspaceID), Email: person.Email(r.Email), Name: person.Name(r.Name),
		Role: person.Role(r.Role), Active: r.Active, Password: person.PasswordHash(r.PasswordHash), Version: r.Version, CreatedAt: r.CreatedAt,
	}
}

// Person is one of the workspace, by id.
func (s *Store) Person(ctx context.Context, in tenant.ID, id person.ID) (person.Person, error) {
	return s.findPerson(ctx, in, "id = ?", string(id))
}

// PersonByEmail is one of the workspace, by address.
func (s *Store) PersonByEmail(ctx context.Context, in tenant.ID, email person.Email) (person.Person, error) {
	return s.findPerson(ctx, in, "email = ?", string(email))
}

func (s *Store) findPerson(ctx context.Context, in tenant.ID, condition, value string) (person.Person, error) {
	var row personRow
	err := s.in(ctx, in, func(tx *gorm.DB) error { return one(tx.Where(condition, value), &row, person.ErrNotFound) })
	return row.person(), err
}

// List answers people in the order of their names.
func (s *Store) List(ctx context.Context, in tenant.ID, q person.Query) ([]person.Person, error) {
	var rows []personRow
	err := s.in(ctx, in, func(tx *gorm.DB) error {
		rows = nil
		return narrow(tx, q).Order("sort_name, id").Limit(q.Limit).Find(&rows).Error
	})
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	found := make([]person.Person, 0, len(rows))
	for _, r := range rows {
		found = append(found, r.person())
	}
	return found, nil
}

func narrow(tx *gorm.DB, q person.Query) *gorm.DB {
	if q.Email != "" {
		tx = tx.Where("email = ?", string(q.Email))
	}
	if q.Text != "" {
		literal := likeLiteral(strings.ToLower(q.Text))
		tx = tx.Where("(sort_name like ? or email like ?)", "%"+literal+"%", literal+"%")
	}
	if q.After.ID != "" {
		tx = tx.Where("(sort_name, id) > (?, ?)", q.After.SortKey, string(q.After.ID))
	}
	return tx
}

// likeLiteral makes a pattern that matches s and nothing else.
func likeLiteral(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// Update locks a person, asks change, and saves what came of it.
func (s *Store) Update(
	ctx context.Context, in tenant.ID, id person.ID, change func(*person.Person) ([]person.Fact, error),
) (person.Person, error) {
	var changed person.Person
	err := s.in(ctx, in, func(tx *gorm.DB) (err error) {
		changed, err = s.update(tx, in, id, change)
		return err
	})
	return changed, err
}

// Readmit is Update while nobody else takes room.
func (s *Store) Readmit(
	ctx context.Context, in tenant.ID, id person.ID, change func(*person.Person, person.Room) ([]person.Fact, error),
) (person.Person, error) {
	var changed person.Person
	err := s.in(ctx, in, func(tx *gorm.DB) error {
		allowed, err := lockPolicy(tx, in)
		if err != nil {
			return err
		}
		there, err := room(tx, allowed)
		if err != nil {
			return err
		}
		changed, err = s.update(tx, in, id, func(p *person.Person) ([]person.Fact, error) { return change(p, there) })
		return err
	})
	return changed, err
}

func (s *Store) update(tx *gorm.DB, in tenant.ID, id person.ID, change func(*person.Person) ([]person.Fact, error)) (person.Person, error) {
	have, err := lockPerson(tx, id)
	if err != nil {
		return person.Person{}, err
	}
	changed := have
	facts, err := change(&changed)
	if err != nil || changed == have {
		return changed, err
	}
	if err := savePerson(tx, changed); err != nil {
		return person.Person{}, err
	}
	return changed, s.conclude(tx, in, facts)
}

// Delete locks a person, asks change whether they may go, and removes them with their sessions.
func (s *Store) Delete(ctx context.Context, in tenant.ID, id person.ID, change func(*person.Person) ([]person.Fact, error)) error {
	return s.in(ctx, in, func(tx *gorm.DB) error {
		have, err := lockPerson(tx, id)
		if err != nil {
			return err
		}
		facts, err := change(&have)
		if err != nil {
			return err
		}
		if err := exec(tx, "delete person", "delete from people where id = ?", string(id)); err != nil {
			return err
		}
		return s.tell(tx, in, messages(facts)...)
	})
}

// conclude does to sessions what the facts say, and tells of them.
func (s *Store) conclude(tx *gorm.DB, in tenant.ID, facts []person.Fact) error {
	for _, f := range facts {
		ended, ok := f.(person.SessionsEnded)
		if !ok {
			continue
		}
		if err := endSessions(tx, ended); err != nil {
			return err
		}
	}
	return s.tell(tx, in, messages(facts)...)
}

func lockPerson(tx *gorm.DB, id person.ID) (person.Person, error) {
	var row personRow
	err := one(tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Where("id = ?", string(id)), &row, person.ErrNotFound)
	return row.person(), err
}

func addPerson(tx *gorm.DB, p person.Person) error {
	row := personRowOf(p)
	err := tx.Create(&row).Error
	switch {
	case err == nil:
		return nil
	case pg.IsUniqueViolation(err, "people_email"):
		return person.ErrEmailTaken.WithCause(err)
	}
	return fmt.Errorf("add person: %w", err)
}

func savePerson(tx *gorm.DB, p person.Person) error {
	r := personRowOf(p)
	return exec(tx, "save person", "update people set name = ?, sort_name = ?, active = ?, password_hash = ?, version = ? where id = ?",
		r.Name, r.SortName, r.Active, r.PasswordHash, r.Version, r.ID)
}
