import type { InfiniteData, QueryClient } from '@tanstack/vue-query'
import type { Note, NoteItem, NoteList } from '@/api/gen/note'
import { excerptOf } from '../markdown/outline'
import { keys } from './keys'

export type Pages = InfiniteData<NoteList, string | undefined>

/** Puts a note the server has just told into every place that shows it. An older version changes nothing. */
export function storeNote(client: QueryClient, note: Note): void {
  client.setQueryData<Note>(keys.note(note.id), (known) => (known && known.version > note.version ? known : note))
  updateItems(client, note.id, (item) =>
    item.version > note.version
      ? item
      : {
          ...item,
          title: note.title,
          excerpt: excerptOf(note.body),
          tags: note.tags,
          version: note.version,
          role: note.role,
          pinned: note.pinned,
          archived: note.archived,
          updatedAt: note.updatedAt,
          updatedBy: note.updatedBy,
          trashedAt: note.trashedAt,
        },
  )
}

/** Changes a note's entry in every list that has it, and keeps the lists in their order: newest change first. */
export function updateItems(client: QueryClient, id: string, change: (item: NoteItem) => NoteItem): void {
  client.setQueriesData<Pages>({ queryKey: [...keys.notes, 'list'] }, (pages) => pages && changed(pages, id, change))
}

function changed(pages: Pages, id: string, change: (item: NoteItem) => NoteItem): Pages {
  const before = pages.pages.flatMap((page) => page.items).find((item) => item.id === id)
  if (!before) return pages
  const after = change(before)
  if (after === before) return pages
  const moved = after.updatedAt > before.updatedAt
  return {
    ...pages,
    pages: pages.pages.map((page, index) => {
      const items = moved
        ? page.items.filter((item) => item.id !== id)
        : page.items.map((item) => (item.id === id ? after : item))
      return { ...page, items: moved && index === 0 ? [after, ...items] : items }
    }),
  }
}

/** Takes a note out of every list and forgets what was known of it. */
export function dropNote(client: QueryClient, id: string): void {
  client.setQueriesData<Pages>({ queryKey: [...keys.notes, 'list'] }, (pages) => pages && without(pages, id))
  for (const key of [keys.note(id), keys.shares(id), keys.revisions(id)]) client.removeQueries({ queryKey: key })
}

const without = (pages: Pages, id: string): Pages => ({
  ...pages,
  pages: pages.pages.map((page) => ({ ...page, items: page.items.filter((item) => item.id !== id) })),
})

/** A note's entry in any list at hand. */
export function knownItem(client: QueryClient, id: string): NoteItem | undefined {
  for (const [, pages] of client.getQueriesData<Pages>({ queryKey: [...keys.notes, 'list'] })) {
    const item = pages?.pages.flatMap((page) => page.items).find((entry) => entry.id === id)
    if (item) return item
  }
  return undefined
}
