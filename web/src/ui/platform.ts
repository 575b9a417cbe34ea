export const isApple = /Mac|iPhone|iPad/.test(navigator.platform)

/** How the key that commands go with is written on this machine: ⌘K or Ctrl K. */
export const withCommand = (key: string) => (isApple ? `⌘${key}` : `Ctrl ${key}`)

export const hasCommand = (event: KeyboardEvent) => (isApple ? event.metaKey : event.ctrlKey)
