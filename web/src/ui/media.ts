import { onScopeDispose, readonly, ref, type Ref } from 'vue'

/** Whether a media query holds, for as long as somebody asks. */
export function useMedia(query: string): Readonly<Ref<boolean>> {
  const list = matchMedia(query)
  const matches = ref(list.matches)
  const update = () => (matches.value = list.matches)
  list.addEventListener('change', update)
  onScopeDispose(() => list.removeEventListener('change', update))
  return readonly(matches)
}

export const usePhone = () => useMedia('(max-width: 767px)')
/** Too narrow for the left rail to stay open beside the rest. */
export const useNarrow = () => useMedia('(max-width: 1099px)')
