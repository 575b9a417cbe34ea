import type { Send } from './http'
import type { Trace } from './trace'
import type {
  ListNotesData,
  Note,
  NoteChange,
  NoteList,
  Revision,
  RevisionList,
  Share,
  ShareList,
  ShareRole,
  TagList,
} from './gen/note'

export type View = NonNullable<NonNullable<ListNotesData['query']>['view']>
export interface NewNoteBody {
  title: string
  body: string
  tags: string[]
}

const at = (id: string) => `/api/v1/notes/${encodeURIComponent(id)}`
const ifMatch = (version: number) => ({ 'If-Match': `"${version}"` })

export type NotesApi = ReturnType<typeof notesApi>

/** The notes as the REST API has them; nothing is kept here. */
export function notesApi(send: Send) {
  return {
    list: (query: ListNotesData['query'], signal?: AbortSignal) =>
      send<NoteList>('/api/v1/notes', { query, signal }),
    tags: (signal?: AbortSignal) => send<TagList>('/api/v1/tags', { signal }),
    read: (id: string, options: { trashed?: boolean; signal?: AbortSignal } = {}) =>
      send<Note>(at(id), { query: { trashed: options.trashed || undefined }, signal: options.signal }),
    /** The same key with the same body again answers with the note of the first time. */
    create: (note: NewNoteBody, key: string, trace?: Trace) =>
      send<Note>('/api/v1/notes', { method: 'POST', body: note, headers: { 'Idempotency-Key': key }, trace }),
    change: (id: string, version: number, change: NoteChange, trace?: Trace) =>
      send<Note>(at(id), { method: 'PATCH', body: change, headers: ifMatch(version), trace }),
    trash: (id: string) => send<void>(at(id), { method: 'DELETE' }),
    deleteForGood: (id: string) => send<void>(at(id), { method: 'DELETE', query: { permanently: true } }),
    restore: (id: string) => send<Note>(`${at(id)}/restore`, { method: 'POST' }),
    pin: (id: string, on: boolean) => send<void>(`${at(id)}/pin`, { method: on ? 'PUT' : 'DELETE' }),
    archive: (id: string, on: boolean) => send<void>(`${at(id)}/archive`, { method: on ? 'PUT' : 'DELETE' }),
    shares: (id: string, signal?: AbortSignal) => everyPage<Share>((cursor) =>
      send<ShareList>(`${at(id)}/shares`, { query: { cursor, limit: 100 }, signal })),
    share: (id: string, person: string, role: ShareRole) =>
      send<Share>(`${at(id)}/shares/${encodeURIComponent(person)}`, { method: 'PUT', body: { role } }),
    unshare: (id: string, person: string) =>
      send<void>(`${at(id)}/shares/${encodeURIComponent(person)}`, { method: 'DELETE' }),
    revisions: (id: string, cursor?: string, signal?: AbortSignal) =>
      send<RevisionList>(`${at(id)}/revisions`, { query: { cursor, limit: 50 }, signal }),
    revision: (id: string, version: number, signal?: AbortSignal) =>
      send<Revision>(`${at(id)}/revisions/${version}`, { signal }),
    restoreRevision: (id: string, version: number, current: number) =>
      send<Note>(`${at(id)}/revisions/${version}/restore`, { method: 'POST', headers: ifMatch(current) }),
  }
}

/** All items of a list that is short by nature. */
export async function everyPage<T>(
  page: (cursor?: string) => Promise<{ items: T[]; nextCursor: string | null }>,
): Promise<T[]> {
  const items: T[] = []
  let cursor: string | undefined
  do {
    const answer = await page(cursor)
    items.push(...answer.items)
    cursor = answer.nextCursor ?? undefined
  } while (cursor)
  return items
}
