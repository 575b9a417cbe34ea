package pg

import (
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"noteworks.dev/services/internal/errs"
)

// SwitchWorkspace makes the rest of a transaction of Tx work for a workspace, or for another one. It is for the inbox, which handles events of
// several workspaces in one transaction; everybody else wants InWorkspace.
func SwitchWorkspace(tx *gorm.DB, workspaceID string) error {
	if id, err := uuid.Parse(workspaceID); err != nil || id.String() != workspaceID {
		return errs.Invalid("invalid-workspace", "a workspace's id must be a UUID in its usual spelling")
	}
	_, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, "select set_config('noteworks.workspace_id', $1, true)", workspaceID)
	if err != nil {
		return fmt.Errorf("switch workspace: %w", err)
	}
	return nil
}
