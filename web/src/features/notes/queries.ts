import { useInfiniteQuery, useQuery } from '@tanstack/vue-query'
import { computed, type Ref } from 'vue'
import type { Note, NoteItem } from '@/api/gen/note'
import { usePeople } from '../people/store'
import { useRuntime } from '../runtime'
import { keys, type Shelf } from './keys'

/** The notes on a shelf, page by page. */
export function useNoteList(shelf: Ref<Shelf>) {
  const { notes } = useRuntime()
  const people = usePeople()
  const query = useInfiniteQuery({
    queryKey: computed(() => keys.list(shelf.value)),
    queryFn: async ({ pageParam, signal }) => {
      const page = await notes.list({ ...shelf.value, cursor: pageParam, limit: 50 }, signal)
      for (const { owner, updatedBy } of page.items) {
        people.remember(owner.id, owner.name)
        people.remember(updatedBy.id, updatedBy.name)
      }
      return page
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
  })
  const items = computed<NoteItem[]>(() => unique(query.data.value?.pages.flatMap((page) => page.items) ?? []))
  return { query, items }
}

/** Pages may overlap when something moved between their requests. */
function unique(items: NoteItem[]): NoteItem[] {
  const seen = new Set<string>()
  return items.filter((item) => !seen.has(item.id) && seen.add(item.id))
}

export function useNote(id: Ref<string>, options: { trashed: Ref<boolean>; enabled: Ref<boolean> }) {
  const { notes } = useRuntime()
  const people = usePeople()
  return useQuery<Note>({
    queryKey: computed(() => keys.note(id.value)),
    enabled: options.enabled,
    queryFn: async ({ signal }) => {
      const note = await notes.read(id.value, { trashed: options.trashed.value, signal })
      people.remember(note.owner.id, note.owner.name)
      people.remember(note.updatedBy.id, note.updatedBy.name)
      return note
    },
  })
}

export function useTags() {
  const { notes } = useRuntime()
  return useQuery({ queryKey: keys.tags, queryFn: ({ signal }) => notes.tags(signal).then((list) => list.items) })
}
