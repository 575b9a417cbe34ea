import { useI18n } from 'vue-i18n'
import { useNotices } from '@/ui/notices'
import { useEditing } from '../editing/store'
import { useSession } from '../session/store'
import { useShell } from './store'

/** Sends what is unsent and signs out; asks first when something stays behind. */
export function useSignOut() {
  const session = useSession()
  const editing = useEditing()
  const notices = useNotices()
  const shell = useShell()
  const { t } = useI18n({ useScope: 'global' })
  return async () => {
    await editing.flushAll()
    if (editing.unsent.length) {
      shell.signingOut = true
      return
    }
    try {
      await session.signOut()
    } catch {
      notices.show(t('signOut.failed'))
    }
  }
}
