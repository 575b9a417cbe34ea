import { defineStore } from 'pinia'
import { ref } from 'vue'
import type { Credentials, Registration, User } from '@/api/gen/user'
import { ApiError } from '@/api/problem'
import { useRuntime } from '../runtime'

export type Phase = 'starting' | 'anonymous' | 'signed-in' | 'unreachable'

/** Says that this browser may hold a refresh cookie. It is no secret: asking in vain would only be a needless 401. */
const hint = 'nw-signed-in'

/** Who is signed in, for this tab and in step with the others of this browser. */
export const useSession = defineStore('session', () => {
  const { keeper } = useRuntime()
  const phase = ref<Phase>('starting')
  const user = ref<User>()
  /** Why nobody is signed in: for the words on the sign-in page. */
  const reason = ref<'none' | 'signed-out' | 'ended'>('none')
  const failure = ref<ApiError>()
  /** Who was signed in before, whose drafts may be on this device. */
  const lastUserId = ref('')
  const tabs = new BroadcastChannel('nw-session')

  keeper.subscribe({ renewed: () => undefined, ended: () => end('ended') })
  tabs.onmessage = ({ data }: MessageEvent<'out' | string>) => {
    if (data === 'out') end('signed-out')
    else if (user.value?.id !== data) location.reload() // someone signed in: this tab takes it up
  }

  /** Finds out who is signed in. May be called again after it was unreachable. */
  async function start(): Promise<void> {
    if (!localStorage.getItem(hint)) {
      phase.value = 'anonymous'
      return
    }
    phase.value = 'starting'
    try {
      enter(await keeper.restore())
    } catch (err) {
      if (!(err instanceof ApiError)) throw err
      if (err.status === 401) return // `ended` has been called
      failure.value = err
      phase.value = 'unreachable'
    }
  }

  async function signIn(credentials: Credentials): Promise<void> {
    enter(await keeper.signIn(credentials), true)
  }

  async function signUp(registration: Registration): Promise<void> {
    enter(await keeper.signUp(registration), true)
  }

  async function signOut(): Promise<void> {
    await keeper.signOut()
    tabs.postMessage('out')
    end('signed-out')
  }

  function enter(person: User, tell = false): void {
    localStorage.setItem(hint, '1')
    user.value = person
    lastUserId.value = person.id
    reason.value = 'none'
    phase.value = 'signed-in'
    if (tell) tabs.postMessage(person.id)
  }

  /** Nobody is signed in any more. Drafts stay on the device. */
  function end(why: 'signed-out' | 'ended'): void {
    keeper.forget()
    localStorage.removeItem(hint)
    reason.value = user.value || why === 'signed-out' ? why : 'none'
    user.value = undefined
    phase.value = 'anonymous'
  }

  return { phase, user, lastUserId, reason, failure, start, signIn, signUp, signOut, end }
})
