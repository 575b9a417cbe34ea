package postgres_test

import (
	"testing"

	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/note/internal/postgres"
)

func TestEveryTenantTableHasForcedRowSecurity(t *testing.T) {
	t.Parallel()
	pgtest.New(t, postgres.Migrations).RequireRowSecurity(t)
}
