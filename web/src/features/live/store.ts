import { useQueryClient } from '@tanstack/vue-query'
import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'
import { useI18n } from 'vue-i18n'
import { LiveClient, type LiveState } from '@/api/live/client'
import { useNotices } from '@/ui/notices'
import { useEditing } from '../editing/store'
import { useSeen } from '../notes/seen'
import { usePeople } from '../people/store'
import { useRuntime } from '../runtime'
import { useSession } from '../session/store'
import { useSuspension } from '../session/suspension'
import { applyEvent, type News } from './apply'

/** A socket that is lost for less than this is nobody's business, in milliseconds. */
const grace = 2_500
/** Back from being hidden for longer than this, the socket may be dead without knowing, in milliseconds. */
const nap = 60_000

/** The live socket as the app sees it, and whether the server can be reached at all. */
export const useLive = defineStore('live', () => {
  const { keeper } = useRuntime()
  const client = useQueryClient()
  const session = useSession()
  const suspension = useSuspension()
  const people = usePeople()
  const editing = useEditing()
  const notices = useNotices()
  const seen = useSeen()
  const { t } = useI18n({ useScope: 'global' })
  const state = ref<LiveState>('off')
  const online = ref(navigator.onLine)
  const overdue = ref(false)

  const socket = new LiveClient({
    url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/v1/live`,
    token: (refused) => (refused ? keeper.renew(refused) : keeper.token()),
    event: (event) =>
      applyEvent(
        client,
        {
          me: session.user?.id ?? '',
          nameOf: people.known,
          rename: people.remember,
          noteChanged: (note) => editing.learnt(note),
          noteStale: (id) => void editing.catchUp(id),
          noteLost: (id) => editing.lost(id),
          noteGained: (id) => editing.gained(id),
          told: (news) => void announce(news),
        },
        event,
      ),
    resync: () => {
      void client.invalidateQueries()
      editing.catchUpAll()
    },
    state: (next) => (state.value = next),
    ended: () => session.end('ended'),
    suspended: suspension.begin,
  })

  keeper.subscribe({ renewed: (token) => socket.renewed(token), ended: () => undefined })

  async function announce({ kind, noteId, by, title, role }: News): Promise<void> {
    if (kind === 'shared') seen.neverSeen(noteId)
    const name = (await people.nameOf(by)) || t('common.someone')
    const words = { name, title: title || t('common.untitled'), role: role ? t(`share.can.${role}`) : '' }
    if (kind === 'shared') notices.show(t('share.sharedWithYou', words))
    else if (kind === 'unshared') notices.show(t('share.unsharedYou', words))
    else notices.show(t('share.roleChanged', words))
  }

  watch(() => session.user?.id, (id) => (id ? socket.start() : socket.stop()), { immediate: true })

  let late: ReturnType<typeof setTimeout> | undefined
  watch(state, (now) => {
    clearTimeout(late)
    if (now === 'live') {
      overdue.value = false
      goOn()
    } else if (now !== 'off') {
      late = setTimeout(() => {
        overdue.value = true
        void suspension.look() // a socket that is not let in is not told why
      }, grace)
    }
  })
  watch(
    () => suspension.on,
    (on) => {
      if (on) return
      socket.nudge()
      goOn()
    },
  )

  /** What has failed meanwhile may pass now. */
  function goOn(): void {
    editing.retryAll()
    void client.refetchQueries({ predicate: (query) => query.state.status === 'error' })
  }

  addEventListener('online', () => {
    online.value = true
    nudge()
  })
  addEventListener('offline', () => {
    online.value = false
    socket.reconnect()
  })
  let hiddenAt = 0
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) hiddenAt = Date.now()
    else if (state.value === 'live' && Date.now() - hiddenAt > nap) socket.reconnect()
    else nudge()
  })

  function nudge(): void {
    socket.nudge()
    if (suspension.on) void suspension.look()
  }

  /** What the banner says; nothing while all is well. */
  const trouble = computed(() => {
    if (state.value === 'off') return undefined
    if (!online.value) return 'offline'
    if (suspension.on) return 'suspended'
    return overdue.value ? 'waiting' : undefined
  })

  return { state, trouble, nudge }
})
