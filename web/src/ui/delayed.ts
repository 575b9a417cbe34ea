import { onScopeDispose, ref, type Ref } from 'vue'

/** False at first, true after some time: what comes quickly needs no placeholder. */
export function useDelayed(milliseconds: number): Ref<boolean> {
  const passed = ref(false)
  const timer = setTimeout(() => (passed.value = true), milliseconds)
  onScopeDispose(() => clearTimeout(timer))
  return passed
}
