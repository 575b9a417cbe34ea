import { ref, watch, type Ref } from 'vue'

/** The active entry of a list that is driven from a text field: arrows move, Enter chooses. */
export function useChoice<T>(items: Readonly<Ref<readonly T[]>>, choose: (item: T) => unknown) {
  const active = ref(0)
  watch(items, () => (active.value = 0))

  function onKey(event: KeyboardEvent): void {
    const count = items.value.length
    if (!count || event.isComposing) return
    if (event.key === 'ArrowDown') active.value = (active.value + 1) % count
    else if (event.key === 'ArrowUp') active.value = (active.value - 1 + count) % count
    else if (event.key === 'Enter') choose(items.value[active.value]!)
    else return
    event.preventDefault()
  }

  return { active, onKey }
}
