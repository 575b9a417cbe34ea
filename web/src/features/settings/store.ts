import { defineStore } from 'pinia'
import { ref, watch } from 'vue'
import { languages, preferredLanguage, setLanguage, type Language } from '@/i18n'

export type Theme = 'system' | 'light' | 'dark'
export const themes: Theme[] = ['system', 'light', 'dark']

interface Saved {
  theme: Theme
  language: Language
  singleKeys: boolean
  railOpen: boolean
  railWidth: number
}

const key = 'nw-settings'
export const railLimits = { min: 200, max: 400 }

function read(): Saved {
  const defaults: Saved = { theme: 'system', language: preferredLanguage(), singleKeys: true, railOpen: true, railWidth: 260 }
  try {
    const saved = JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Saved>
    const merged = { ...defaults, ...saved }
    if (!themes.includes(merged.theme)) merged.theme = defaults.theme
    if (!(merged.language in languages)) merged.language = defaults.language
    merged.railWidth = Math.min(railLimits.max, Math.max(railLimits.min, Number(merged.railWidth) || defaults.railWidth))
    return merged
  } catch {
    return defaults
  }
}

/** How a person likes this app on this device. */
export const useSettings = defineStore('settings', () => {
  const saved = ref(read())

  watch(saved, (value) => localStorage.setItem(key, JSON.stringify(value)), { deep: true })
  watch(
    () => saved.value.theme,
    (theme) => {
      if (theme === 'system') delete document.documentElement.dataset.theme
      else document.documentElement.dataset.theme = theme
    },
    { immediate: true },
  )
  watch(() => saved.value.language, (language) => void setLanguage(language), { immediate: true })

  function toggleTheme(): void {
    const dark =
      saved.value.theme === 'dark' ||
      (saved.value.theme === 'system' && matchMedia('(prefers-color-scheme: dark)').matches)
    saved.value.theme = dark ? 'light' : 'dark'
  }

  return { saved, toggleTheme }
})
