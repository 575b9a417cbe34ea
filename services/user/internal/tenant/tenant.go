// Package tenant names the workspace that something belongs to. It is apart from package workspace so that people and sessions can name
// theirs without knowing how workspaces are made. Imports nothing.
package tenant

// ID is a workspace's id, a UUID in its canonical spelling.
type ID string
