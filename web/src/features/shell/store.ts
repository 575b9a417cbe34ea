import { defineStore } from 'pinia'
import { computed, ref, watch } from 'vue'
import { useNarrow } from '@/ui/media'
import { useSettings } from '../settings/store'

/** Which parts around the note are open. */
export const useShell = defineStore('shell', () => {
  const settings = useSettings()
  const narrow = useNarrow()
  const drawer = ref(false)
  const palette = ref(false)
  const shortcuts = ref(false)
  const signingOut = ref(false)

  watch(narrow, () => (drawer.value = false))

  const railVisible = computed(() => !narrow.value && settings.saved.railOpen)

  function toggleRail(): void {
    if (narrow.value) drawer.value = !drawer.value
    else settings.saved.railOpen = !settings.saved.railOpen
  }

  return { narrow, drawer, palette, shortcuts, signingOut, railVisible, toggleRail }
})
