import { describe, expect, it } from 'vitest'
import { ref, nextTick } from 'vue'
import { arrange, moved, useSteady } from './steady'

const items = (ids: string) => [...ids].map((id) => ({ id }))
const ids = (list: { id: string }[]) => list.map(({ id }) => id).join('')

describe('a steady list', () => {
  it('keeps places while it is held', async () => {
    const all = ref(items('abc'))
    const held = ref(false)
    const { shown, waiting, release } = useSteady(all, held)
    held.value = true
    await nextTick()
    all.value = items('xcab')
    expect(ids(shown.value)).toBe('abc')
    expect(waiting.value).toBe(2)
    release()
    expect(ids(shown.value)).toBe('xcab')
    expect(waiting.value).toBe(0)
    held.value = false
    await nextTick()
    all.value = items('cabx')
    expect(ids(shown.value)).toBe('cabx')
  })

  it('drops what is gone and takes the next page', () => {
    expect(ids(arrange(items('acde'), ['a', 'b', 'c']))).toBe('acde')
    expect(moved(items('acde'), ['a', 'b', 'c'])).toBe(0)
  })

  it('counts what would move', () => {
    expect(moved(items('bac'), ['a', 'b', 'c'])).toBe(1)
    expect(moved(items('xabc'), ['a', 'b', 'c'])).toBe(1)
    expect(moved([], ['a'])).toBe(0)
  })
})
