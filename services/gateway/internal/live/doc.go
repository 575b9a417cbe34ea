// Package live decides who sees what, when, on the open sockets of this process. It knows people, notes and sessions by their ids, and
// neither sockets nor NATS: events come in through Hub.Publish, frames leave through each Client's queue.
//
// It promises:
//   - a person gets an event only as a member of its audience, in its workspace, on a session that has not ended, once per socket;
//   - a suspended workspace has no sockets, and its sessions are as good as before when it is resumed;
//   - what was taken away (NoteUnshared, NoteTrashed) is not sent any more: neither what still waits in a queue nor what a replay finds;
//   - between ready and the first event there is no gap and no duplicate, because joining and publishing exclude each other;
//   - a replay that cannot be complete is never attempted: the client is told to resync;
//   - memory is bounded: the ring by count, bytes and age, a queue by frames and bytes, the list of ended sessions by count and age;
//   - a client that does not read costs the others nothing.
//
// Presence would join here: as another source of frames for a room, and as a client frame type of its own.
//
// Imports the standard library and errs.
package live
