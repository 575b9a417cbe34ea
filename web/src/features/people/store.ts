import { defineStore } from 'pinia'
import { reactive } from 'vue'
import { useRuntime } from '../runtime'

/** The names of people, as far as they were met. Live events carry ids only. */
export const usePeople = defineStore('people', () => {
  const { people } = useRuntime()
  const names = reactive(new Map<string, string>())
  let loading: Promise<void> | undefined

  function remember(id: string, name: string): void {
    if (id && name) names.set(id, name)
  }

  /** A name at once, empty when it was never met. */
  const known = (id: string): string => names.get(id) ?? ''

  /** A name, asking the server when it was never met; empty when nobody by that id is here. */
  async function nameOf(id: string): Promise<string> {
    if (!names.has(id)) {
      loading ??= loadAll().finally(() => (loading = undefined))
      await loading
    }
    return known(id)
  }

  async function loadAll(): Promise<void> {
    try {
      for (const person of await people.all()) remember(person.id, person.name)
    } catch {
      // A name is not worth an error: the words say "someone".
    }
  }

  return { remember, known, nameOf }
})
