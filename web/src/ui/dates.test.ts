import { describe, expect, it } from 'vitest'
import { relativeDate } from './dates'

const now = Date.parse('2026-06-15T12:00:00Z')
const ago = (seconds: number) => relativeDate(new Date(now - seconds * 1000).toISOString(), now, 'en', 'just now')

describe('relative dates', () => {
  it.each([
    [0, 'just now'],
    [-30, 'just now'],
    [61, '1m ago'],
    [3 * 3600 + 10, '3h ago'],
    [86_400, 'yesterday'],
    [3 * 86_400, '3d ago'],
    [10 * 86_400, 'Jun 5'],
    [400 * 86_400, 'May 11, 2025'],
  ])('%d s', (seconds, words) => {
    expect(ago(seconds)).toBe(words)
  })
})
