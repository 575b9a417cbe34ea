import { inject, type InjectionKey } from 'vue'
import { authorized, sender, type Send } from '@/api/http'
import { notesApi, type NotesApi } from '@/api/notes'
import { peopleApi, readWorkspace, type PeopleApi } from '@/api/people'
import { randomHex } from '@/api/random'
import { acrossTabs, SessionKeeper } from '@/api/session'
import { Suspension } from '@/api/suspension'
import { indexedDrafts, type DraftStore } from './editing/drafts'

/** What the features stand on: one of each per page. */
export interface Runtime {
  /** Requests without credentials. */
  anonymous: Send
  keeper: SessionKeeper
  suspension: Suspension
  notes: NotesApi
  people: PeopleApi
  drafts: DraftStore
  /** Names this tab among those of the browser. */
  tab: string
}

const key: InjectionKey<Runtime> = Symbol('runtime')
export const runtimeKey = key

export function createRuntime(): Runtime {
  const plain = sender()
  const suspension = new Suspension(() => readWorkspace(plain))
  const anonymous = suspension.watching(plain)
  const keeper = new SessionKeeper(anonymous, acrossTabs)
  const send = authorized(anonymous, keeper)
  return {
    anonymous,
    keeper,
    suspension,
    notes: notesApi(send),
    people: peopleApi(send),
    drafts: indexedDrafts(),
    tab: randomHex(8),
  }
}

export function useRuntime(): Runtime {
  const runtime = inject(key)
  if (!runtime) throw new Error('no runtime provided')
  return runtime
}
