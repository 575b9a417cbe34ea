import { describe, expect, it } from 'vitest'
import { changes, diff, pieces, words, type Change } from './diff'
import { mergeContent, mergeText } from './merge'

function apply(text: string, edits: Change[]): string {
  return edits.toReversed().reduce((t, c) => t.slice(0, c.from) + c.insert + t.slice(c.to), text)
}

/** A small generator with a seed, so that a failing case can be run again. */
function randomOf(seed: number) {
  let state = seed
  const next = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state % below
  }
  const line = () => Array.from({ length: next(4) }, () => ['a', 'b', 'ca', 'd e', 'ü'][next(5)]).join(' ')
  const text = () => Array.from({ length: next(7) }, line).join('\n')
  const edited = (from: string) => {
    const lines = from.split('\n')
    for (let i = 0; i <= next(3); i++) lines.splice(next(lines.length + 1), next(2), ...(next(2) ? [line()] : []))
    return lines.join('\n')
  }
  return { text, edited }
}

describe('diff', () => {
  it('finds the shortest way', () => {
    expect(diff([...'abcabba'], [...'cbabac']).reduce((n, h) => n + h.aTo - h.aFrom + h.bTo - h.bFrom, 0)).toBe(5)
  })

  it('gives up on texts that have nothing in common, quickly', () => {
    const a = Array.from({ length: 20_000 }, (_, i) => `a${i}`)
    const b = Array.from({ length: 20_000 }, (_, i) => `b${i}`)
    expect(diff(a, b)).toEqual([{ aFrom: 0, aTo: 20_000, bFrom: 0, bTo: 20_000 }])
  })

  it('cuts at words of any script', () => {
    expect(words('Größe, 你好 x2!')).toEqual(['Größe', ',', ' ', '你好', ' ', 'x2', '!'])
  })
})

describe('changes', () => {
  it.each([
    ['', 'a'],
    ['a', ''],
    ['a\nb', 'a'],
    ['a', 'a\nb'],
    ['a\nb\nc', 'b\nc'],
    ['b\nc', 'a\nb\nc'],
    ['one two three', 'one 2 three'],
    ['a\n', 'a'],
    ['\n\n', '\n'],
    ['x\ny\nz', 'x\nz'],
  ])('turn %j into %j', (before, after) => {
    expect(apply(before, changes(before, after))).toBe(after)
  })

  it('turn any text into any other', () => {
    for (let seed = 0; seed < 3_000; seed++) {
      const random = randomOf(seed)
      const before = random.text()
      const after = seed % 2 ? random.text() : random.edited(before)
      expect(apply(before, changes(before, after)), `seed ${seed}`).toBe(after)
    }
  })

  it('touch one word where one word changed', () => {
    expect(changes('one\ntwo three\nfour', 'one\ntwo 3\nfour')).toEqual([{ from: 8, to: 13, insert: '3' }])
  })
})

describe('pieces', () => {
  it('mark what is new', () => {
    expect(pieces('a cat', 'a big cat')).toEqual([
      { text: 'a ', changed: false },
      { text: 'big ', changed: true },
      { text: 'cat', changed: false },
    ])
  })
})

describe('mergeText', () => {
  it.each([
    ['different lines', 'a\nb\nc', 'A\nb\nc', 'a\nb\nC', 'A\nb\nC'],
    ['neighbouring lines', 'a\nb', 'A\nb', 'a\nB', 'A\nB'],
    ['an added line and a changed one', 'a', 'a\nb', 'A', 'A\nb'],
    ['different words of one line', 'the quick brown fox', 'the slow brown fox', 'the quick brown dog', 'the slow brown dog'],
    ['the same edit twice', 'a\nb', 'a\nB', 'a\nB', 'a\nB'],
    ['one side only', 'a', 'a', 'b', 'b'],
    ['a removed line and an added one', 'a\nb\nc\nd', 'a\nc\nd', 'a\nb\nc\nd\ne', 'a\nc\nd\ne'],
    ['insertions apart', 'a\nb', 'x\na\nb', 'a\nb\ny', 'x\na\nb\ny'],
  ])('takes both: %s', (_, base, mine, theirs, want) => {
    expect(mergeText(base, mine, theirs)).toEqual({ text: want, conflicts: 0 })
  })

  it.each([
    ['the same word', 'a red hat', 'a blue hat', 'a green hat', 'a green hat\na blue hat'],
    ['lines added at one place', 'a', 'a\nmine', 'a\ntheirs', 'a\ntheirs\nmine'],
    ['a changed line that the other removed', 'a\nb\nc', 'a\nB!\nc', 'a\nc', 'a\nB!\nc'],
    ['a removed line that the other changed', 'a\nb\nc', 'a\nc', 'a\nB!\nc', 'a\nB!\nc'],
  ])('asks, and keeps both: %s', (_, base, mine, theirs, want) => {
    expect(mergeText(base, mine, theirs)).toEqual({ text: want, conflicts: 1 })
  })

  it('never loses a word that either side added', () => {
    for (let seed = 0; seed < 3_000; seed++) {
      const random = randomOf(seed)
      const base = random.text()
      const mine = `${random.edited(base)}\nmine${seed}`
      const theirs = `theirs${seed}\n${random.edited(base)}`
      const { text } = mergeText(base, mine, theirs)
      expect(text, `seed ${seed}`).toContain(`mine${seed}`)
      expect(text, `seed ${seed}`).toContain(`theirs${seed}`)
    }
  })

  it('does not depend on whose side is whose when nothing is disputed', () => {
    for (let seed = 0; seed < 2_000; seed++) {
      const random = randomOf(seed)
      const base = random.text()
      const [a, b] = [random.edited(base), random.edited(base)]
      const merged = mergeText(base, a, b)
      if (merged.conflicts === 0) expect(mergeText(base, b, a).text, `seed ${seed}`).toBe(merged.text)
    }
  })
})

describe('mergeContent', () => {
  const base = { title: 'Plan', body: 'a\nb', tags: ['x', 'y'] }

  it('merges each field for itself', () => {
    const mine = { title: 'Plan', body: 'A\nb', tags: ['x', 'y', 'mine'] }
    const theirs = { title: 'The Plan', body: 'a\nB', tags: ['y', 'theirs'] }
    expect(mergeContent(base, mine, theirs)).toEqual({
      content: { title: 'The Plan', body: 'A\nB', tags: ['y', 'theirs', 'mine'] },
      conflict: false,
    })
  })

  it('keeps both titles on one line', () => {
    const merged = mergeContent(base, { ...base, title: 'Mine' }, { ...base, title: 'Theirs' })
    expect(merged).toEqual({ content: { ...base, title: 'Theirs / Mine' }, conflict: true })
  })
})
