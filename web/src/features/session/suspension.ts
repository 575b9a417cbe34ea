import { defineStore } from 'pinia'
import { ref } from 'vue'
import { useRuntime } from '../runtime'

/** Whether the workspace is suspended, for whatever shows it. */
export const useSuspension = defineStore('suspension', () => {
  const { suspension } = useRuntime()
  const on = ref(suspension.on)
  suspension.listen((now) => (on.value = now))
  return { on, begin: () => suspension.begin(), look: () => suspension.look() }
})
