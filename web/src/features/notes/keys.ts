import type { View } from '@/api/notes'

/** What a list of notes shows: a view, and of it perhaps only one tag. */
export interface Shelf {
  view: View
  tag?: string
}

/** The names under which answers of the server are kept. */
export const keys = {
  notes: ['notes'] as const,
  list: (shelf: Shelf) => ['notes', 'list', shelf.view, shelf.tag ?? ''] as const,
  search: (q: string) => ['notes', 'search', q] as const,
  note: (id: string) => ['note', id] as const,
  shares: (id: string) => ['shares', id] as const,
  revisions: (id: string) => ['revisions', id] as const,
  revision: (id: string, version: number) => ['revision', id, version] as const,
  tags: ['tags'] as const,
  people: ['people'] as const,
  invitations: ['invitations'] as const,
  workspace: ['workspace'] as const,
}
