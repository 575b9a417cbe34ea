package rpc

import (
	"context"

	"connectrpc.com/connect"

	userv1 "noteworks.dev/services/api/gen/user/v1"
	"noteworks.dev/services/api/gen/user/v1/userv1connect"
	"noteworks.dev/services/note/internal/note"
)

// Directory is note.Directory, asked of the user service.
type Directory struct {
	client userv1connect.DirectoryServiceClient
}

// NewDirectory asks client.
func NewDirectory(client userv1connect.DirectoryServiceClient) Directory { return Directory{client} }

// Person is note.Directory's.
func (d Directory) Person(ctx context.Context, workspace note.WorkspaceID, id note.PersonID) (note.Person, error) {
	res, err := d.client.GetPerson(ctx, connect.NewRequest(&userv1.GetPersonRequest{WorkspaceId: string(workspace), UserId: string(id)}))
	if err != nil {
		return note.Person{}, err
	}
	p := res.Msg
	return note.Person{ID: note.PersonID(p.GetUserId()), Name: p.GetName(), Active: p.GetActive(), Version: p.GetVersion()}, nil
}
