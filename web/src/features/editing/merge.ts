import { diff, words, type Hunk } from './diff'

/** What people write in a note. */
export interface Content {
  title: string
  body: string
  tags: string[]
}

export interface MergedText {
  /** Everything of both sides; where they disagree, theirs and then mine. */
  text: string
  /** How many places they disagree in; 0 means that nobody needs to be asked. */
  conflicts: number
}

/**
 * Merges two versions of one text. Edits in different places both count, equal ones count once; where both changed the
 * same words, the text keeps both.
 */
export function mergeText(base: string, mine: string, theirs: string): MergedText {
  if (mine === theirs || theirs === base) return { text: mine, conflicts: 0 }
  if (mine === base) return { text: theirs, conflicts: 0 }
  const chunks = merge3(base.split('\n'), mine.split('\n'), theirs.split('\n'))
  let conflicts = 0
  const lines = chunks.flatMap((chunk) => {
    if (!chunk.disputed) return chunk.items
    const merged = mergeWords(chunk)
    conflicts += merged.conflicts
    return merged.lines
  })
  return { text: lines.join('\n'), conflicts }
}

function mergeWords({ base, mine, theirs }: Dispute<string>): { lines: string[]; conflicts: number } {
  const [b, m, t] = [base, mine, theirs].map((lines) => lines.join('\n')) as [string, string, string]
  if (base.length && mine.length && theirs.length) {
    const chunks = merge3(words(b), words(m), words(t), isWord)
    if (chunks.every((chunk) => !chunk.disputed)) {
      const text = chunks.map((chunk) => (chunk.disputed ? '' : chunk.items.join(''))).join('')
      return { lines: text.split('\n'), conflicts: 0 }
    }
  }
  return { lines: both(mine, theirs, m, t), conflicts: 1 }
}

const isWord = (token: string) => /[\p{L}\p{N}]/u.test(token)

function both(mine: string[], theirs: string[], mineText: string, theirsText: string): string[] {
  if (!mine.length || theirsText.includes(mineText)) return theirs
  if (!theirs.length || mineText.includes(theirsText)) return mine
  return [...theirs, ...mine]
}

interface Dispute<T> {
  disputed: true
  base: T[]
  mine: T[]
  theirs: T[]
}
type Chunk<T> = { disputed: false; items: T[] } | Dispute<T>

/** diff3. With `parts`, edits are apart only when an unchanged item of that kind stands between them. */
function merge3<T>(base: T[], mine: T[], theirs: T[], parts?: (item: T) => boolean): Chunk<T>[] {
  const left = diff(base, mine)
  const right = diff(base, theirs)
  const chunks: Chunk<T>[] = []
  let at = 0
  let l = 0
  let r = 0
  const near = (from: number, to: number) => parts !== undefined && !base.slice(from, to).some(parts)
  while (l < left.length || r < right.length) {
    const group = nextGroup(left, l, right, r, near)
    chunks.push({ disputed: false, items: base.slice(at, group.from) })
    chunks.push(
      settle(
        base.slice(group.from, group.to),
        side(mine, left, l, group.l, group),
        side(theirs, right, r, group.r, group),
        { mine: group.l > l, theirs: group.r > r },
      ),
    )
    at = group.to
    l = group.l
    r = group.r
  }
  chunks.push({ disputed: false, items: base.slice(at) })
  return chunks
}

/** A range of the base, and the first hunks behind it on either side. */
interface Group {
  from: number
  to: number
  l: number
  r: number
}

/** The next hunk of either side together with all hunks that reach into it. */
function nextGroup(left: Hunk[], l: number, right: Hunk[], r: number, near: Near): Group {
  const leftFirst = precedes(left[l], right[r])
  const first = leftFirst ? left[l]! : right[r]!
  const group = { from: first.aFrom, to: first.aTo, l: leftFirst ? l + 1 : l, r: leftFirst ? r : r + 1 }
  for (;;) {
    const nextLeft = left[group.l]
    const nextRight = right[group.r]
    if (nextLeft && reaches(group, nextLeft, near)) {
      group.to = Math.max(group.to, nextLeft.aTo)
      group.l++
    } else if (nextRight && reaches(group, nextRight, near)) {
      group.to = Math.max(group.to, nextRight.aTo)
      group.r++
    } else {
      return group
    }
  }
}

function precedes(a: Hunk | undefined, b: Hunk | undefined): boolean {
  if (!a || !b) return a !== undefined
  return a.aFrom !== b.aFrom ? a.aFrom < b.aFrom : a.aTo <= b.aTo
}

/** Whether nothing that keeps edits apart stands in a range of the base. */
type Near = (from: number, to: number) => boolean

function reaches(group: Group, h: Hunk, near: Near): boolean {
  if (h.aFrom < group.to || (h.aFrom === group.from && group.from === group.to)) return true
  return near(group.to, h.aFrom)
}

/** What one side made of the group's range: its own hunks and the unchanged rest around them. */
function side<T>(items: T[], hunks: Hunk[], from: number, to: number, group: Group): T[] {
  const before = hunks[from - 1]
  const shiftBefore = before ? before.bTo - before.aTo : 0
  const last = to > from ? hunks[to - 1]! : before
  const shiftAfter = last ? last.bTo - last.aTo : 0
  return items.slice(group.from + shiftBefore, group.to + shiftAfter)
}

function settle<T>(base: T[], mine: T[], theirs: T[], changed: { mine: boolean; theirs: boolean }): Chunk<T> {
  if (!changed.theirs) return { disputed: false, items: mine }
  if (!changed.mine) return { disputed: false, items: theirs }
  if (mine.length === theirs.length && mine.every((item, i) => item === theirs[i])) {
    return { disputed: false, items: mine }
  }
  return { disputed: true, base, mine, theirs }
}

export interface Merged {
  content: Content
  /** Whether a person has to look at it before it is sent. */
  conflict: boolean
}

export function mergeContent(base: Content, mine: Content, theirs: Content): Merged {
  const title = mergeTitle(base.title, mine.title, theirs.title)
  const body = mergeText(base.body, mine.body, theirs.body)
  const tags = mergeTags(base.tags, mine.tags, theirs.tags)
  return { content: { title: title.text, body: body.text, tags }, conflict: title.conflicts + body.conflicts > 0 }
}

function mergeTitle(base: string, mine: string, theirs: string): MergedText {
  const merged = mergeText(base, mine, theirs)
  return merged.conflicts ? { ...merged, text: merged.text.split('\n').join(' / ') } : merged
}

function mergeTags(base: string[], mine: string[], theirs: string[]): string[] {
  const removed = base.filter((tag) => !mine.includes(tag))
  const added = mine.filter((tag) => !base.includes(tag) && !theirs.includes(tag))
  return [...theirs.filter((tag) => !removed.includes(tag)), ...added]
}

export const sameTags = (a: string[], b: string[]) => a.length === b.length && a.every((tag, i) => tag === b[i])

export const sameContent = (a: Content, b: Content) =>
  a.title === b.title && a.body === b.body && sameTags(a.tags, b.tags)
