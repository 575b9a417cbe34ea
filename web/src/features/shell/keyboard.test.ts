// @vitest-environment jsdom
import { describe, expect, it } from 'vitest'
import { shortcutOf } from './keyboard'

const key = (key: string, more: Partial<KeyboardEvent> = {}) => ({ key, altKey: false, shiftKey: false, ctrlKey: false, metaKey: false, isComposing: false, ...more })

describe('shortcuts', () => {
  it('with the command key work everywhere', () => {
    expect(shortcutOf(key('k', { ctrlKey: true }), true, true, false)).toBe('search')
    expect(shortcutOf(key('.', { ctrlKey: true }), true, true, false)).toBe('rail')
    expect(shortcutOf(key('k', { ctrlKey: true, shiftKey: true }), true, true, true)).toBeUndefined()
  })

  it('of one key are off while typing, and can be switched off', () => {
    expect(shortcutOf(key('n'), false, false, true)).toBe('write')
    expect(shortcutOf(key('?', { shiftKey: true }), false, false, true)).toBe('help')
    expect(shortcutOf(key('n'), false, true, true)).toBeUndefined()
    expect(shortcutOf(key('n'), false, false, false)).toBeUndefined()
  })

  it('leave the browser its own keys', () => {
    expect(shortcutOf(key('n', { ctrlKey: true }), true, false, true)).toBeUndefined()
    expect(shortcutOf(key('e', { altKey: true }), false, false, true)).toBeUndefined()
    expect(shortcutOf(key('n', { isComposing: true }), false, false, true)).toBeUndefined()
  })
})
