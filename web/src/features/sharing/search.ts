import { ref, shallowRef, watch, type Ref } from 'vue'
import type { User } from '@/api/gen/user'
import { ApiError } from '@/api/problem'
import { useRuntime } from '../runtime'

const pause = 150

/** Finds people by a part of their name or by their address while somebody types. */
export function usePersonSearch(text: Ref<string>) {
  const { people } = useRuntime()
  const found = shallowRef<User[]>([])
  /** The answer for the text as it stands is here. */
  const done = ref(false)
  const failure = shallowRef<ApiError>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let request: AbortController | undefined

  function stop(): void {
    clearTimeout(timer)
    request?.abort()
  }

  watch(text, (now) => {
    stop()
    done.value = false
    failure.value = undefined
    const wanted = now.trim()
    if (!wanted) found.value = []
    else timer = setTimeout(() => void search(wanted), pause)
  })

  async function search(wanted: string): Promise<void> {
    const mine = (request = new AbortController())
    try {
      const isAddress = /^\S+@\S+\.\S+$/.test(wanted)
      const answer = isAddress ? await people.withEmail(wanted, mine.signal) : await people.find(wanted, mine.signal)
      if (mine.signal.aborted) return
      found.value = answer
      done.value = true
    } catch (err) {
      if (!mine.signal.aborted && err instanceof ApiError) failure.value = err
    }
  }

  return { found, done, failure, stop }
}
