import { useQuery } from '@tanstack/vue-query'
import { computed } from 'vue'
import type { Note } from '@/api/gen/note'
import { keys } from '../notes/keys'
import { usePeople } from '../people/store'
import { useRuntime } from '../runtime'

/** Who can see a note besides its owner. */
export function useShares(note: () => Note) {
  const { notes } = useRuntime()
  const people = usePeople()
  return useQuery({
    queryKey: computed(() => keys.shares(note().id)),
    queryFn: async ({ signal }) => {
      const shares = await notes.shares(note().id, signal)
      for (const { userId, name, sharedBy } of shares) {
        people.remember(userId, name)
        people.remember(sharedBy.id, sharedBy.name)
      }
      return shares
    },
  })
}
