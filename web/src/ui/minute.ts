import { onScopeDispose, readonly, ref, type Ref } from 'vue'

const now = ref(Date.now())
let users = 0
let timer: ReturnType<typeof setInterval> | undefined

/** The time, moving on once a minute while anyone looks at it. */
export function useMinute(): Readonly<Ref<number>> {
  if (users++ === 0) timer = setInterval(() => (now.value = Date.now()), 60_000)
  onScopeDispose(() => {
    if (--users === 0) clearInterval(timer)
  })
  return readonly(now)
}
