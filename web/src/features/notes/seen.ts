import { defineStore } from 'pinia'
import { ref, watch } from 'vue'
import type { NoteItem } from '@/api/gen/note'
import { useSession } from '../session/store'

interface Seen {
  /** What changed before this counts as seen. */
  since: string
  versions: Record<string, number>
}

const limit = 500

/** Which notes are new or changed since this person last looked at them on this device. */
export const useSeen = defineStore('seen', () => {
  const session = useSession()
  const seen = ref<Seen>({ since: '', versions: {} })
  const key = () => `nw-seen-${session.user?.id ?? ''}`

  watch(() => session.user?.id, (id) => id && (seen.value = read(key())), { immediate: true })

  function look(id: string, version: number): void {
    if ((seen.value.versions[id] ?? 0) >= version) return
    keep(id, version)
  }

  /** The note has just come to this person, however old it is. */
  const neverSeen = (id: string) => keep(id, 0)

  function keep(id: string, version: number): void {
    const others = Object.entries(seen.value.versions).filter(([other]) => other !== id)
    seen.value.versions = Object.fromEntries([...others.slice(1 - limit), [id, version]])
    localStorage.setItem(key(), JSON.stringify(seen.value))
  }

  function isNew(item: NoteItem): boolean {
    if (item.updatedBy.id === session.user?.id) return false
    const version = seen.value.versions[item.id]
    return version === undefined ? item.updatedAt > seen.value.since : item.version > version
  }

  return { look, neverSeen, isNew }
})

function read(key: string): Seen {
  try {
    const saved = JSON.parse(localStorage.getItem(key) ?? '') as Seen
    if (typeof saved.since === 'string' && typeof saved.versions === 'object') return saved
  } catch {
    // Nothing kept yet, or nothing that can be read.
  }
  const fresh = { since: new Date().toISOString(), versions: {} }
  localStorage.setItem(key, JSON.stringify(fresh))
  return fresh
}
