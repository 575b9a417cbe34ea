export interface Segment {
  text: string
  hit: boolean
}

/** A text cut where words of a query stand in it, without regard to case. */
export function marked(text: string, query: string): Segment[] {
  const words = query.trim().split(/\s+/).filter(Boolean).map(escaped)
  if (!words.length) return text ? [{ text, hit: false }] : []
  words.sort((a, b) => b.length - a.length)
  const pattern = new RegExp(`(${words.join('|')})`, 'giu')
  return text
    .split(pattern)
    .map((part, index) => ({ text: part, hit: index % 2 === 1 }))
    .filter((segment) => segment.text !== '')
}

const escaped = (word: string) => word.replace(/[\\^$.*+?()[\]{}|/-]/g, (c) => (c === '-' ? '\\u{2d}' : `\\${c}`))
