package postgres

import (
	"database/sql/driver"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/user/internal/tenant"
	"noteworks.dev/services/user/internal/wire"
	"noteworks.dev/services/user/internal/workspace"
)

// policyColumn is a policy in a jsonb column, in the words that events tell it in: those never change their meaning.
type policyColumn workspace.Policy

// Value implements driver.Valuer.
func (p policyColumn) Value() (driver.Value, error) {
	text, err := protojson.Marshal(wire.Policy(workspace.Policy(p)))
	return string(text), err
}

// Scan implements sql.Scanner. What a newer version of the service has added is left out.
func (p *policyColumn) Scan(from any) error {
	var text []byte
	switch from := from.(type) {
	case []byte:
		text = from
	case string:
		text = []byte(from)
	default:
		return fmt.Errorf("a policy cannot be read from %T", from)
	}
	var m workspacev1.Policy
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, &m); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	*p = policyColumn(wire.ParsePolicy(&m))
	return nil
}

// lockPolicy is what a workspace allows, until the transaction ends: who takes room, or lets somebody in, goes by turns. It is the first lock of its
// transaction, before people's rows: so those who delete the workspace, and with it its people, wait for the same thing first.
func lockPolicy(tx *gorm.DB, in tenant.ID) (workspace.Policy, error) {
	return readPolicy(tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}), in) // no stronger: rows that refer to this one may be added meanwhile
}

func readPolicy(tx *gorm.DB, in tenant.ID) (workspace.Policy, error) {
	var row struct{ Policy policyColumn }
	err := one(tx.Table("workspaces").Select("policy").Where("id = ?", string(in)), &row, workspace.ErrNotFound)
	return workspace.Policy(row.Policy), err
}
