import { onScopeDispose } from 'vue'
import { hasCommand } from '@/ui/platform'

export interface Shortcuts {
  search(): unknown
  rail(): unknown
  write(): unknown
  edit(): unknown
  help(): unknown
}

/** Which shortcut a key press is, or nothing. Single keys count only where nobody can be typing. */
export function shortcutOf(
  event: Pick<KeyboardEvent, 'key' | 'altKey' | 'shiftKey' | 'ctrlKey' | 'metaKey' | 'isComposing'>,
  command: boolean,
  typing: boolean,
  singleKeys: boolean,
): keyof Shortcuts | undefined {
  if (event.isComposing || event.altKey) return undefined
  if (command) return event.shiftKey ? undefined : ({ k: 'search', '.': 'rail' } as const)[event.key.toLowerCase()]
  if (typing || !singleKeys || event.ctrlKey || event.metaKey) return undefined
  return ({ n: 'write', e: 'edit', '?': 'help' } as const)[event.key]
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable="true"], [role="menu"]') !== null
}

export function useShortcuts(singleKeys: () => boolean, actions: Shortcuts): void {
  function press(event: KeyboardEvent): void {
    if (event.defaultPrevented) return
    const inDialog = document.querySelector('[role="dialog"]') !== null
    const name = shortcutOf(event, hasCommand(event), isTyping(event.target) || inDialog, singleKeys())
    if (!name) return
    event.preventDefault()
    actions[name]()
  }
  addEventListener('keydown', press)
  onScopeDispose(() => removeEventListener('keydown', press))
}
