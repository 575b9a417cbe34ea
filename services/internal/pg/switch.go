package pg

import (
	"fmt"

	"gorm.io/gorm"
)

// setWorkspace holds until the transaction ends.
const setWorkspace = "select set_config('noteworks.workspace_id', $1, true)"

// SwitchWorkspace makes the rest of a transaction of Tx work for a workspace, or for another one. It is for the inbox, which handles events of
// several workspaces in one transaction; everybody else wants InWorkspace.
func SwitchWorkspace(tx *gorm.DB, workspaceID string) error {
	if err := checkWorkspace(workspaceID); err != nil {
		return err
	}
	_, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, setWorkspace, workspaceID)
	if err != nil {
		return fmt.Errorf("switch workspace: %w", err)
	}
	return nil
}
