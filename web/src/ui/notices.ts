import { defineStore } from 'pinia'
import { ref } from 'vue'

export interface Notice {
  id: number
  text: string
  action?: { label: string; run: () => unknown }
}

/** Short words about what just happened: shown for a while, and read out politely. */
export const useNotices = defineStore('notices', () => {
  const shown = ref<Notice[]>([])
  const spoken = ref('')
  let next = 0

  /** Reads out without showing anything: for what the screen tells already. */
  function say(text: string): void {
    // The same words twice in a row would not be read again.
    spoken.value = text === spoken.value ? `${text}\u00a0` : text
  }

  function show(text: string, action?: Notice['action']): void {
    const notice = { id: next++, text, action }
    shown.value = [...shown.value.slice(-2), notice]
    say(text)
    setTimeout(() => dismiss(notice.id), action ? 10_000 : 5_000)
  }

  function dismiss(id: number): void {
    shown.value = shown.value.filter((notice) => notice.id !== id)
  }

  return { shown, spoken, say, show, dismiss }
})
