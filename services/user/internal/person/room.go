package person

import "noteworks.dev/services/internal/errs"

// ErrNoRoom says that a workspace has as many active people as it may have.
var ErrNoRoom = errs.Forbidden("members-limit-reached",
	"This workspace has as many members as it may have. Its owner can make room by deactivating someone, and whoever runs it can raise the limit.")

// Room is how many active people a workspace may have, 0 being any number, and how many it has. It may have more than it should:
// the limit can be lowered, and takes nobody's place away.
type Room struct {
	Limit, Taken int32
}

// TakeOne is ErrNoRoom if there is no room for one more.
func (r Room) TakeOne() error {
	if r.Limit > 0 && r.Taken >= r.Limit {
		return ErrNoRoom
	}
	return nil
}
