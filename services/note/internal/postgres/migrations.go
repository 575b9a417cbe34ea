package postgres

import "embed"

// Migrations is the note service's schema, to be applied with the kit's.
//
//go:embed migrations/*.sql
var Migrations embed.FS
