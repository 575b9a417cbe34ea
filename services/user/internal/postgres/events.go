package postgres

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"gorm.io/gorm"

	userv1 "noteworks.dev/services/api/gen/user/v1"
	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/user/internal/person"
	"noteworks.dev/services/user/internal/tenant"
	"noteworks.dev/services/user/internal/wire"
	"noteworks.dev/services/user/internal/workspace"
)

// tell appends the messages as events of the workspace. Their key is the workspace, not the person: they are few, and so nobody hears of
// a person before their workspace, or after it was deleted.
func (s *Store) tell(tx *gorm.DB, in tenant.ID, messages ...proto.Message) error {
	if len(messages) == 0 {
		return nil
	}
	events := make([]event.Event, 0, len(messages))
	for _, m := range messages {
		e, err := event.New(string(in), string(in), m)
		if err != nil {
			return fmt.Errorf("event %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
		}
		events = append(events, e)
	}
	return s.outbox.Append(tx, events...)
}

// forget tells that the workspace is gone, and leaves nothing of what was told before.
func (s *Store) forget(tx *gorm.DB, id tenant.ID) error {
	last, err := event.New(string(id), string(id), &workspacev1.WorkspaceDeleted{WorkspaceId: string(id)})
	if err != nil {
		return fmt.Errorf("last event of workspace %s: %w", id, err)
	}
	return s.outbox.Forget(tx, last)
}

func messages(facts []person.Fact) []proto.Message {
	all := make([]proto.Message, 0, len(facts))
	for _, f := range facts {
		all = append(all, message(f))
	}
	return all
}

func message(f person.Fact) proto.Message {
	switch f := f.(type) {
	case person.Registered:
		return &userv1.UserRegistered{UserId: string(f.ID), Name: string(f.Name), Role: string(f.Role), Version: f.Version}
	case person.Renamed:
		return &userv1.UserRenamed{UserId: string(f.ID), Name: string(f.Name), Version: f.Version}
	case person.Deactivated:
		return &userv1.UserDeactivated{UserId: string(f.ID), ActorId: string(f.Actor), Version: f.Version}
	case person.Reactivated:
		return &userv1.UserReactivated{UserId: string(f.ID), ActorId: string(f.Actor), Version: f.Version}
	case person.Deleted:
		return &userv1.UserDeleted{UserId: string(f.ID), ActorId: string(f.Actor), SuccessorId: string(f.Successor), Version: f.Version}
	case person.SessionsEnded:
		return &userv1.SessionsRevoked{UserId: string(f.ID), SessionIds: f.Sessions, KeepSessionId: f.Keep, Reason: string(f.Reason)}
	}
	panic(fmt.Sprintf("postgres: no message for %T", f)) // a new fact without its event: every test of it ends here
}

func appliedMessage(a workspace.Applied) proto.Message {
	return &workspacev1.WorkspaceApplied{
		WorkspaceId: string(a.ID), Slug: string(a.Slug), Title: a.Title, Version: a.Version, Host: a.Host, Policy: wire.Policy(a.Policy),
	}
}
