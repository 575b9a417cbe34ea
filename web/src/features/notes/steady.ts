import { computed, ref, watch, type Ref } from 'vue'

/**
 * Keeps a list from moving under the pointer: while held, items keep their places (what they say may change) and new
 * ones wait. `waiting` counts what would move.
 */
export function useSteady<T extends { id: string }>(items: Ref<T[]>, held: Ref<boolean>) {
  const frozen = ref<string[]>()

  watch(held, (now) => (frozen.value = now ? items.value.map((item) => item.id) : undefined))

  const shown = computed(() => (frozen.value ? arrange(items.value, frozen.value) : items.value))
  const waiting = computed(() => (frozen.value ? moved(items.value, frozen.value) : 0))
  const release = () => (frozen.value = held.value ? items.value.map((item) => item.id) : undefined)

  return { shown, waiting, release }
}

export function arrange<T extends { id: string }>(items: T[], order: string[]): T[] {
  const byId = new Map(items.map((item) => [item.id, item]))
  const kept = order.flatMap((id) => byId.get(id) ?? [])
  // What comes at the end, such as the next page, moves nothing.
  const last = items.findLastIndex((item) => order.includes(item.id))
  return [...kept, ...items.slice(last + 1)]
}

export function moved<T extends { id: string }>(items: T[], order: string[]): number {
  const known = order.filter((id) => items.some((item) => item.id === id))
  let expected = 0
  let count = 0
  const last = items.findLastIndex((item) => order.includes(item.id))
  for (const item of items.slice(0, last + 1)) {
    if (item.id === known[expected]) expected++
    else {
      count++
      const at = known.indexOf(item.id)
      if (at >= 0) known.splice(at, 1)
    }
  }
  return count
}
