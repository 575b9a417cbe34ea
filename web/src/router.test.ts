import { describe, expect, it } from 'vitest'
import { destination } from './router'

describe('the way back after signing in', () => {
  it.each([
    ['/n/1?x=2', '/n/1?x=2'],
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['https://evil.example', '/'],
    ['javascript:alert(1)', '/'],
    [undefined, '/'],
    [['/a'], '/'],
  ])('from %j is %s', (to, want) => {
    expect(destination(to)).toBe(want)
  })
})
