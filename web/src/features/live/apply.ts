import type { QueryClient } from '@tanstack/vue-query'
import type { Note, Role } from '@/api/gen/note'
import type { LiveData, LiveEvent } from '@/api/live/events'
import { dropNote, knownItem, storeNote, updateItems } from '../notes/cache'
import { keys } from '../notes/keys'

/** What the rest of the app does about news. */
export interface Audience {
  /** Who is signed in. */
  me: string
  /** A name at once, empty when it is not known. */
  nameOf(id: string): string
  rename(id: string, name: string): void
  /** A newer version of a note is here. */
  noteChanged(note: Note): void
  /** A newer version exists, but only the server has it. */
  noteStale(id: string): void
  /** The note can not be seen any more. */
  noteLost(id: string): void
  /** The note can be seen, perhaps again, perhaps in another role. */
  noteGained(id: string): void
  /** For people: who gave or took what. */
  told(news: News): void
}

export interface News {
  kind: 'shared' | 'unshared' | 'role'
  noteId: string
  by: string
  title: string
  role?: Role
}

/** Brings what is shown up to date with an event. The same event again changes nothing. */
export function applyEvent(client: QueryClient, to: Audience, event: LiveEvent): void {
  switch (event.type) {
    case 'note.v1.NoteChanged':
      return changedNote(client, to, event.data)
    case 'note.v1.NoteShared':
      return shared(client, to, event.data)
    case 'note.v1.NoteUnshared':
      return event.data.personId === to.me ? taken(client, to, event.data) : sharesChanged(client, event.data.noteId)
    case 'note.v1.NoteTrashed':
    case 'note.v1.NoteDeleted':
      dropNote(client, event.data.noteId)
      to.noteLost(event.data.noteId)
      return refetchLists(client)
    case 'note.v1.NoteRestored':
      to.noteGained(event.data.noteId)
      void client.invalidateQueries({ queryKey: keys.note(event.data.noteId) })
      return refetchLists(client)
    case 'note.v1.NoteOwnerChanged':
      void client.invalidateQueries({ queryKey: keys.note(event.data.noteId) })
      sharesChanged(client, event.data.noteId)
      return refetchLists(client)
    case 'note.v1.NoteCreated':
      return refetchLists(client)
    case 'note.v1.NotePinned':
      return mark(client, event.data.noteId, { pinned: event.data.pinned ?? false })
    case 'note.v1.NoteArchived':
      return mark(client, event.data.noteId, { archived: event.data.archived ?? false })
    case 'user.v1.UserRenamed':
    case 'user.v1.UserRegistered':
      to.rename(event.data.userId, event.data.name ?? '')
      return void client.invalidateQueries({ queryKey: keys.people })
    case 'user.v1.UserDeactivated':
    case 'user.v1.UserReactivated':
    case 'user.v1.UserDeleted':
      return void client.invalidateQueries({ queryKey: keys.people })
  }
}

function changedNote(client: QueryClient, to: Audience, data: LiveData['note.v1.NoteChanged']): void {
  const { noteId, version = 0 } = data
  const known = client.getQueryData<Note>(keys.note(noteId))
  if (data.tags) void client.invalidateQueries({ queryKey: keys.tags })
  void client.invalidateQueries({ queryKey: keys.revisions(noteId) })
  if (known && known.version >= version) return
  if (known && known.version === version - 1 && !data.bodyOmitted) {
    const note = withChange(known, data, to)
    storeNote(client, note)
    return to.noteChanged(note)
  }
  changeItem(client, to, data)
  void client.invalidateQueries({ queryKey: keys.note(noteId) })
  to.noteStale(noteId)
}

function withChange(note: Note, data: LiveData['note.v1.NoteChanged'], to: Audience): Note {
  return {
    ...note,
    title: data.title ?? note.title,
    body: data.body ?? note.body,
    tags: data.tags ? (data.tags.values ?? []) : note.tags,
    version: data.version ?? note.version,
    updatedAt: data.updatedAt ?? note.updatedAt,
    updatedBy: { id: data.actorId ?? '', name: to.nameOf(data.actorId ?? '') },
  }
}

function changeItem(client: QueryClient, to: Audience, data: LiveData['note.v1.NoteChanged']): void {
  const item = knownItem(client, data.noteId)
  if (!item || data.body !== undefined || data.bodyOmitted) return refetchLists(client)
  updateItems(client, data.noteId, (entry) =>
    entry.version >= (data.version ?? 0)
      ? entry
      : {
          ...entry,
          title: data.title ?? entry.title,
          tags: data.tags ? (data.tags.values ?? []) : entry.tags,
          version: data.version ?? entry.version,
          updatedAt: data.updatedAt ?? entry.updatedAt,
          updatedBy: { id: data.actorId ?? '', name: to.nameOf(data.actorId ?? '') },
        },
  )
}

function shared(client: QueryClient, to: Audience, data: LiveData['note.v1.NoteShared']): void {
  sharesChanged(client, data.noteId)
  updateItems(client, data.noteId, (item) => (item.shared ? item : { ...item, shared: true }))
  if (data.personId !== to.me) return
  const role = (data.role ?? 'viewer') as Role
  const known = client.getQueryData<Note>(keys.note(data.noteId)) ?? knownItem(client, data.noteId)
  to.noteGained(data.noteId)
  void client.invalidateQueries({ queryKey: keys.note(data.noteId) })
  refetchLists(client)
  if (known?.role === role) return
  to.told({ kind: known ? 'role' : 'shared', noteId: data.noteId, by: data.actorId ?? '', title: data.title ?? known?.title ?? '', role })
}

function taken(client: QueryClient, to: Audience, data: LiveData['note.v1.NoteUnshared']): void {
  const known = knownItem(client, data.noteId) ?? client.getQueryData<Note>(keys.note(data.noteId))
  dropNote(client, data.noteId)
  to.noteLost(data.noteId)
  refetchLists(client)
  if (known && data.actorId !== to.me) to.told({ kind: 'unshared', noteId: data.noteId, by: data.actorId ?? '', title: known.title })
}

function sharesChanged(client: QueryClient, id: string): void {
  void client.invalidateQueries({ queryKey: keys.shares(id) })
}

function mark(client: QueryClient, id: string, marks: Partial<Pick<Note, 'pinned' | 'archived'>>): void {
  client.setQueryData<Note>(keys.note(id), (note) => note && { ...note, ...marks })
  updateItems(client, id, (item) => ({ ...item, ...marks }))
  refetchLists(client)
}

/** Which notes stand where is the server's to say. Requests in flight are for an older state and do not count. */
function refetchLists(client: QueryClient): void {
  void client.invalidateQueries({ queryKey: keys.notes })
  void client.invalidateQueries({ queryKey: keys.tags })
}
