// What the live socket tells: the events of services/api/proto, as protobuf's JSON mapping writes them.
// Fields at their zero value are left out on the wire, hence the many optional ones.

interface OfNote {
  noteId: string
  version?: number
  actorId?: string
}

export interface LiveData {
  'note.v1.NoteCreated': OfNote & { title?: string; body?: string; bodyOmitted?: boolean; tags?: string[]; updatedAt?: string }
  'note.v1.NoteChanged': OfNote & {
    title?: string
    body?: string
    bodyOmitted?: boolean
    tags?: { values?: string[] }
    updatedAt?: string
  }
  'note.v1.NoteTrashed': OfNote
  'note.v1.NoteRestored': OfNote
  'note.v1.NoteDeleted': OfNote
  'note.v1.NoteShared': OfNote & { personId: string; role?: string; title?: string }
  'note.v1.NoteUnshared': OfNote & { personId: string }
  'note.v1.NoteOwnerChanged': OfNote & { ownerId?: string }
  'note.v1.NotePinned': { noteId: string; personId: string; pinned?: boolean }
  'note.v1.NoteArchived': { noteId: string; personId: string; archived?: boolean }
  'user.v1.UserRegistered': { userId: string; name?: string }
  'user.v1.UserRenamed': { userId: string; name?: string }
  'user.v1.UserDeactivated': { userId: string }
  'user.v1.UserReactivated': { userId: string }
  'user.v1.UserDeleted': { userId: string }
}

export type LiveEvent = { [T in keyof LiveData]: { type: T; id: string; data: LiveData[T] } }[keyof LiveData]

const known: Record<keyof LiveData, true> = {
  'note.v1.NoteCreated': true,
  'note.v1.NoteChanged': true,
  'note.v1.NoteTrashed': true,
  'note.v1.NoteRestored': true,
  'note.v1.NoteDeleted': true,
  'note.v1.NoteShared': true,
  'note.v1.NoteUnshared': true,
  'note.v1.NoteOwnerChanged': true,
  'note.v1.NotePinned': true,
  'note.v1.NoteArchived': true,
  'user.v1.UserRegistered': true,
  'user.v1.UserRenamed': true,
  'user.v1.UserDeactivated': true,
  'user.v1.UserReactivated': true,
  'user.v1.UserDeleted': true,
}

export type Frame =
  | { type: 'ready'; cursor: string }
  | { type: 'event'; event: string; id: string; cursor: string; data: unknown }
  | { type: 'cursor'; cursor: string }
  | { type: 'resync' }
  | { type: 'error'; code: string }

/** The frame in a message, or undefined for what this client does not know and may ignore. */
export function frameOf(message: unknown): Frame | undefined {
  if (typeof message !== 'string') return undefined
  let frame: unknown
  try {
    frame = JSON.parse(message)
  } catch {
    return undefined
  }
  if (typeof frame !== 'object' || frame === null || !('type' in frame)) return undefined
  return ['ready', 'event', 'cursor', 'resync', 'error'].includes(String(frame.type)) ? (frame as Frame) : undefined
}

/** The event of a frame, or undefined when this client is older than the event. */
export function eventOf(frame: Extract<Frame, { type: 'event' }>): LiveEvent | undefined {
  if (!Object.hasOwn(known, frame.event) || typeof frame.data !== 'object' || frame.data === null) return undefined
  return { type: frame.event, id: frame.id, data: frame.data } as LiveEvent
}
