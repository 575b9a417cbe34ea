import { Archive, FileText, Keyboard, LogOut, PanelLeft, Pin, Settings, SquarePen, SunMoon, Trash2, Users, UsersRound } from '@lucide/vue'
import { computed, type Component } from 'vue'
import { useI18n } from 'vue-i18n'
import { useRouter } from 'vue-router'
import { useNewNote } from '../note/newNote'
import { useSession } from '../session/store'
import { useSettings } from '../settings/store'
import { useSignOut } from '../shell/signOut'
import { useShell } from '../shell/store'

export interface Command {
  id: string
  label: string
  icon: Component
  run(): unknown
}

/** Everything that can be done from the palette by name. */
export function useCommands() {
  const { t } = useI18n({ useScope: 'global' })
  const router = useRouter()
  const shell = useShell()
  const settings = useSettings()
  const session = useSession()
  const newNote = useNewNote()
  const signOut = useSignOut()

  const view = (name: 'all' | 'pinned' | 'shared' | 'archived' | 'trash', icon: Component): Command => ({
    id: name,
    label: t('commands.goTo', { view: t(`views.${name}`) }),
    icon,
    run: () => router.push({ name }),
  })

  return computed<Command[]>(() => [
    { id: 'new', label: t('commands.new'), icon: SquarePen, run: newNote },
    view('all', FileText),
    view('pinned', Pin),
    view('shared', Users),
    view('archived', Archive),
    view('trash', Trash2),
    { id: 'theme', label: t('commands.theme'), icon: SunMoon, run: settings.toggleTheme },
    { id: 'rail', label: t('commands.rail'), icon: PanelLeft, run: shell.toggleRail },
    { id: 'shortcuts', label: t('commands.shortcuts'), icon: Keyboard, run: () => (shell.shortcuts = true) },
    { id: 'settings', label: t('commands.settings'), icon: Settings, run: () => router.push({ name: 'settings' }) },
    ...(session.user?.role === 'owner'
      ? [{ id: 'members', label: t('commands.members'), icon: UsersRound, run: () => router.push({ name: 'members' }) }]
      : []),
    { id: 'sign-out', label: t('commands.signOut'), icon: LogOut, run: signOut },
  ])
}
