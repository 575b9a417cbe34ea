import { createI18n } from 'vue-i18n'
import en from './en'

export const languages = { en: 'English', de: 'Deutsch' } as const
export type Language = keyof typeof languages
export type Messages = typeof en

const load: Record<Exclude<Language, 'en'>, () => Promise<{ default: Messages }>> = { de: () => import('./de') }

export const i18n = createI18n<[Messages], Language, false>({
  legacy: false,
  locale: 'en',
  fallbackLocale: 'en',
  messages: { en } as Record<Language, Messages>,
})

/** The language of the browser where it is one of ours. */
export function preferredLanguage(wanted: readonly string[] = navigator.languages): Language {
  const ours = wanted.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in languages)
  return (ours as Language | undefined) ?? 'en'
}

export async function setLanguage(language: Language): Promise<void> {
  if (language !== 'en' && !i18n.global.availableLocales.includes(language)) {
    i18n.global.setLocaleMessage(language, (await load[language]()).default)
  }
  i18n.global.locale.value = language
  document.documentElement.lang = language
}
