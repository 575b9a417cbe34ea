package postgres

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/user/internal/keyring"
)

type keyRow struct {
	ID        string
	Seed      []byte
	CreatedAt time.Time
	SignsFrom time.Time
}

// TableName is gorm's way to learn it.
func (keyRow) TableName() string { return "signing_keys" }

// Ring is every signing key, in the order in which they begin to sign.
func (s *Store) Ring(ctx context.Context) (keyring.Ring, error) {
	var ring keyring.Ring
	err := s.db.Tx(ctx, func(tx *gorm.DB) (err error) {
		ring, err = readRing(tx)
		return err
	})
	return ring, err
}

// Turn changes the ring while other replicas wait.
func (s *Store) Turn(ctx context.Context, change func(keyring.Ring) (keyring.Turn, error)) (keyring.Ring, error) {
	var ring keyring.Ring
	err := s.db.Tx(ctx, func(tx *gorm.DB) error {
		if err := exec(tx, "lock signing keys", "select pg_advisory_xact_lock(hashtextextended('signing_keys', 0))"); err != nil {
			return err
		}
		have, err := readRing(tx)
		if err != nil {
			return err
		}
		turn, err := change(have)
		if err != nil {
			return err
		}
		if err := saveTurn(tx, turn); err != nil {
			return err
		}
		ring, err = readRing(tx)
		return err
	})
	return ring, err
}

func saveTurn(tx *gorm.DB, turn keyring.Turn) error {
	if len(turn.Drop) > 0 {
		if err := exec(tx, "drop signing keys", "delete from signing_keys where id in ?", turn.Drop); err != nil {
			return err
		}
	}
	if turn.Add == nil {
		return nil
	}
	row := keyRow{ID: turn.Add.ID, Seed: turn.Add.Private.Seed(), CreatedAt: turn.Add.CreatedAt, SignsFrom: turn.Add.SignsFrom}
	if err := tx.Create(&row).Error; err != nil {
		return fmt.Errorf("add signing key: %w", err)
	}
	return nil
}

func readRing(tx *gorm.DB) (keyring.Ring, error) {
	var rows []keyRow
	if err := tx.Order("signs_from, id").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	ring := make(keyring.Ring, 0, len(rows))
	for _, r := range rows {
		if len(r.Seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("signing key %s is damaged", r.ID)
		}
		ring = append(ring, keyring.Key{ID: r.ID, Private: ed25519.NewKeyFromSeed(r.Seed), CreatedAt: r.CreatedAt, SignsFrom: r.SignsFrom})
	}
	return ring, nil
}
