import { computed, type ShallowRef } from 'vue'
import type { EditSession } from '../editing/session'
import { useEditing } from '../editing/store'

/** What a page shows of a session, moving along with it. */
export function useSessionView(session: Readonly<ShallowRef<EditSession | undefined>>) {
  const editing = useEditing()
  return computed(() => {
    void editing.pulse
    const s = session.value
    if (!s) return undefined
    const { key, id, mine, state, conflict, refusal, deviceFails, unsent, isLost, version } = s
    return { key, id, mine, state, conflict, refusal, deviceFails, unsent, isLost, version }
  })
}
