import { useQuery } from '@tanstack/vue-query'
import { ApiError } from '@/api/problem'
import { readWorkspace } from '@/api/people'
import { keys } from '../notes/keys'
import { useRuntime } from '../runtime'

/** The workspace this address belongs to. */
export function useWorkspace() {
  const { anonymous, suspension } = useRuntime()
  return useQuery({
    queryKey: keys.workspace,
    queryFn: async () => {
      const workspace = await readWorkspace(anonymous)
      if (workspace.suspended) suspension.begin()
      return workspace
    },
    retry: (count, err) => err instanceof ApiError && err.temporary && count < 3,
  })
}

export const isMissing = (err: unknown) => err instanceof ApiError && err.status === 404
