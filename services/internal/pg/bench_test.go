package pg_test

import (
	"strconv"
	"testing"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/pgtest"
)

// BenchmarkInWorkspace is what every use case pays before its own first statement.
func BenchmarkInWorkspace(b *testing.B) {
	w := pgtest.New(b, schema())
	b.Run("empty", func(b *testing.B) {
		for b.Loop() {
			if err := w.DB.InWorkspace(b.Context(), here, nothing); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one insert", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n++
			if err := w.DB.InWorkspace(b.Context(), here, add(here, strconv.Itoa(n))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one raw query", func(b *testing.B) {
		for b.Loop() {
			err := w.DB.InWorkspace(b.Context(), here, func(tx *gorm.DB) error {
				var n int
				return tx.Raw("select count(*) from things where id = 1").Scan(&n).Error
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
