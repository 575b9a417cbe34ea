import { defineStore } from 'pinia'
import { ref } from 'vue'

export type RightTab = 'outline' | 'history' | 'access'

/** How notes are shown, the same for one after the other. */
export const useModes = defineStore('modes', () => {
  const mode = ref<'write' | 'read'>('write')
  const rightRail = ref<RightTab>()
  return { mode, rightRail }
})
