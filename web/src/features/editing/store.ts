import { useQueryClient } from '@tanstack/vue-query'
import { defineStore } from 'pinia'
import { computed, ref, shallowReactive, shallowRef, triggerRef, watch } from 'vue'
import type { Note } from '@/api/gen/note'
import { ApiError } from '@/api/problem'
import { storeNote } from '../notes/cache'
import { keys } from '../notes/keys'
import { useRuntime } from '../runtime'
import { useSession } from '../session/store'
import type { Draft } from './drafts'
import type { Content } from './merge'
import { EditSession, type SessionOptions } from './session'

/** The notes a person works on in this tab, and the drafts that wait to be sent. */
export const useEditing = defineStore('editing', () => {
  const { notes, drafts, tab } = useRuntime()
  const client = useQueryClient()
  const account = useSession()
  const sessions = shallowReactive(new Map<string, EditSession>())
  /** Drafts of a note wait for the one before them. */
  const queued: Draft[] = []
  /** Moves on whenever any session changes. */
  const pulse = shallowRef(0)
  const watched = new Map<string, number>()
  /** What earlier visits left has been taken up: from now on a note that is opened has no draft waiting for it. */
  const adopted = ref(false)

  const options = (): SessionOptions => ({
    userId: account.user?.id ?? '',
    tab,
    drafts,
    backend: {
      create: (content, key) => notes.create(content, key),
      change: (id, version, change) => notes.change(id, version, change),
    },
  })

  function add(session: EditSession): EditSession {
    sessions.set(session.key, session)
    session.listen({
      changed: () => {
        triggerRef(pulse)
        settle(session)
      },
      confirmed: (note) => {
        const isNew = !client.getQueryData(keys.note(note.id))
        storeNote(client, note)
        if (isNew) void client.invalidateQueries({ queryKey: keys.notes })
      },
    })
    return session
  }

  const find = (id: string) => [...sessions.values()].find((s) => s.id === id || s.key === id)

  /** The session of a note that has been read. There is one for each note. */
  function open(note: Note): EditSession {
    const known = find(note.id)
    if (!known) return add(EditSession.of(note, options()))
    known.remote(note)
    return known
  }

  /** A note that exists nowhere yet; its key stands for an id until it has one. */
  const compose = (content?: Content) => add(EditSession.fresh(options(), content))

  /** Keeps a session while a page shows it. The answer ends that; a session with nothing unsent goes then. */
  function hold(session: EditSession): () => void {
    watched.set(session.key, (watched.get(session.key) ?? 0) + 1)
    return () => {
      watched.set(session.key, (watched.get(session.key) ?? 1) - 1)
      void session.flush().then(() => settle(session))
    }
  }

  function settle(session: EditSession): void {
    if (session.state !== 'saved' || (watched.get(session.key) ?? 0) > 0 || !sessions.has(session.key)) return
    sessions.delete(session.key)
    watched.delete(session.key)
    session.close()
    adoptNext()
  }

  /** Takes up the drafts that earlier visits left on this device. */
  async function adopt(userId: string): Promise<void> {
    const found = await Promise.race([drafts.all(userId).catch(() => []), after(patience)])
    const busy = await otherTabs()
    if (account.user?.id !== userId) return
    for (const draft of found) {
      if (draft.tab !== tab && busy.has(draft.tab)) continue
      if (!sessions.has(draft.key) && !queued.some(({ key }) => key === draft.key)) queued.push(draft)
    }
    adoptNext()
    adopted.value = true
  }

  function adoptNext(): void {
    for (const draft of queued.splice(0)) {
      if (draft.userId !== account.user?.id) continue
      if (draft.noteId && find(draft.noteId)) queued.push(draft)
      else {
        add(EditSession.adopt(draft, options()))
        if (draft.noteId) void catchUp(draft.noteId)
      }
    }
  }

  function learnt(note: Note): void {
    find(note.id)?.remote(note)
  }

  /** Reads a note that is worked on again, because others changed it. */
  async function catchUp(id: string): Promise<void> {
    const session = find(id)
    if (!session) return
    try {
      const note = await notes.read(id)
      storeNote(client, note)
      session.regain()
      session.remote(note)
    } catch (err) {
      if (err instanceof ApiError && err.status === 404) session.lose()
    }
  }

  function catchUpAll(): void {
    for (const session of sessions.values()) if (session.id) void catchUp(session.id)
  }

  const lost = (id: string) => find(id)?.lose()
  const gained = (id: string) => void catchUp(id)

  function retryAll(): void {
    for (const session of sessions.values()) session.retry()
    if (account.user) void adopt(account.user.id)
  }

  const flushAll = () => Promise.all([...sessions.values()].map((s) => s.flush()))

  const unsent = computed(() => (pulse.value, [...sessions.values()].filter((s) => s.unsent)))

  watch(
    () => account.user?.id,
    (id) => {
      for (const session of sessions.values()) session.close()
      sessions.clear()
      watched.clear()
      queued.length = 0
      adopted.value = false
      if (id) void adopt(id)
    },
    { immediate: true },
  )

  // Browsers without Web Locks cannot tell which tabs live; then every draft is taken up, which merging makes harmless.
  if ('locks' in navigator) void navigator.locks.request(lockOf(tab), () => new Promise(() => undefined))
  const keepAll = () => sessions.forEach((session) => session.keep())
  addEventListener('pagehide', keepAll)
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) keepAll()
  })
  addEventListener('beforeunload', (event) => {
    if (unsent.value.length) event.preventDefault()
  })

  return { sessions, pulse, adopted, unsent, find, open, compose, hold, learnt, catchUp, catchUpAll, lost, gained, retryAll, flushAll }
})

/** A device store that does not answer in this time counts as empty for now, in milliseconds. */
const patience = 2_000

const after = (wait: number) => new Promise<Draft[]>((resolve) => setTimeout(resolve, wait, []))

const lockOf = (tab: string) => `nw-tab-${tab}`

async function otherTabs(): Promise<Set<string>> {
  if (!('locks' in navigator)) return new Set()
  const { held = [] } = await navigator.locks.query()
  return new Set(held.map((lock) => lock.name?.replace(lockOf(''), '') ?? ''))
}
