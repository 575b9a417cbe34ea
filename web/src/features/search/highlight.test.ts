import { describe, expect, it } from 'vitest'
import { marked } from './highlight'

const shown = (text: string, query: string) => marked(text, query).map(({ text, hit }) => (hit ? `[${text}]` : text)).join('')

describe('marked hits', () => {
  it.each([
    ['The plan', 'plan', 'The [plan]'],
    ['The Plan, planned', 'plan', 'The [Plan], [plan]ned'],
    ['one two', 'two one', '[one] [two]'],
    ['季度回顾', '回顾', '季度[回顾]'],
    ['ÜBER uns', 'über', '[ÜBER] uns'],
    ['a+b (c) [d] \\ e-f', 'a+b (c) [d] \\ e-f', '[a+b] [(c)] [[d]] [\\] [e-f]'],
    ['nothing', '  ', 'nothing'],
    ['nothing', 'else', 'nothing'],
    ['', 'x', ''],
    ['planning', 'plan planning', '[planning]'],
  ])('%j for %j', (text, query, want) => {
    expect(shown(text, query)).toBe(want)
  })
})
