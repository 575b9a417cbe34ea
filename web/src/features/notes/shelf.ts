import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { useI18n } from 'vue-i18n'
import type { RouteLocationNormalizedLoaded, RouteLocationRaw } from 'vue-router'
import type { View } from '@/api/notes'
import type { Shelf } from './keys'

/** Which list of notes is beside the note. Opening a note leaves it as it was. */
export const useShelf = defineStore('shelf', () => {
  const { t } = useI18n({ useScope: 'global' })
  const current = ref<Shelf>({ view: 'all' })

  function follow(route: RouteLocationNormalizedLoaded): void {
    if (route.name === 'tag') current.value = { view: 'all', tag: String(route.params.tag) }
    else if (route.meta.view) current.value = { view: route.meta.view as View }
  }

  const title = computed(() =>
    current.value.tag ? t('views.tag', { tag: current.value.tag }) : t(`views.${current.value.view}`),
  )

  const location = computed<RouteLocationRaw>(() =>
    current.value.tag ? { name: 'tag', params: { tag: current.value.tag } } : { name: current.value.view },
  )

  return { current, follow, title, location }
})
