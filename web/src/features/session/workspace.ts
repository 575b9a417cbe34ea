import { useQuery } from '@tanstack/vue-query'
import { ApiError } from '@/api/problem'
import { readWorkspace } from '@/api/people'
import { keys } from '../notes/keys'
import { useRuntime } from '../runtime'

/** The workspace this address belongs to. */
export function useWorkspace() {
  const { anonymous } = useRuntime()
  return useQuery({
    queryKey: keys.workspace,
    queryFn: () => readWorkspace(anonymous),
    retry: (count, err) => err instanceof ApiError && err.temporary && count < 3,
  })
}

export const isMissing = (err: unknown) => err instanceof ApiError && err.status === 404
