/** a[aFrom, aTo) became b[bFrom, bTo). Either side may be empty, never both. */
export interface Hunk {
  aFrom: number
  aTo: number
  bFrom: number
  bTo: number
}

/** Beyond this many edits the middle counts as rewritten: the exact answer would take too long to be worth it. */
const maxEdits = 1_500

/** The shortest way from a to b (Myers), as hunks in ascending order with unchanged items between them. */
export function diff<T>(a: readonly T[], b: readonly T[]): Hunk[] {
  let from = 0
  while (from < a.length && from < b.length && a[from] === b[from]) from++
  let aTo = a.length
  let bTo = b.length
  while (aTo > from && bTo > from && a[aTo - 1] === b[bTo - 1]) {
    aTo--
    bTo--
  }
  if (from === aTo && from === bTo) return []
  const rewritten = [{ aFrom: from, aTo, bFrom: from, bTo }]
  if (from === aTo || from === bTo) return rewritten
  const trace = search(a.slice(from, aTo), b.slice(from, bTo))
  return trace ? hunksOf(trace, aTo - from, bTo - from, from) : rewritten
}

/** The furthest reaching paths after each number of edits, until the end is reached; undefined when it is too far. */
function search<T>(a: T[], b: T[]): Int32Array[] | undefined {
  const limit = Math.min(a.length + b.length, maxEdits)
  const trace: Int32Array[] = []
  let v = new Int32Array(3)
  for (let d = 0; d <= limit; d++) {
    const next = new Int32Array(2 * d + 3)
    for (let k = -d; k <= d; k += 2) {
      let x = d === 0 ? 0 : fromAbove(v, k, d) ? v[k + 1 + d - 1]! : v[k - 1 + d - 1]! + 1
      let y = x - k
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x++
        y++
      }
      next[k + d] = x
      if (x >= a.length && y >= b.length) {
        trace.push(next)
        return trace
      }
    }
    trace.push(next)
    v = next
  }
  return undefined
}

/** Whether path k after d edits came by an insertion (from diagonal k+1) rather than a deletion. v is of d-1 edits. */
function fromAbove(v: Int32Array, k: number, d: number): boolean {
  if (k === -d) return true
  if (k === d) return false
  return v[k - 1 + d - 1]! < v[k + 1 + d - 1]!
}

function hunksOf(trace: Int32Array[], aLength: number, bLength: number, offset: number): Hunk[] {
  const hunks: Hunk[] = []
  let x = aLength
  let y = bLength
  for (let d = trace.length - 1; d > 0; d--) {
    const v = trace[d - 1]!
    const k = x - y
    const above = fromAbove(v, k, d)
    const fromX = above ? v[k + 1 + d - 1]! : v[k - 1 + d - 1]!
    const fromY = fromX - (above ? k + 1 : k - 1)
    const toX = above ? fromX : fromX + 1
    const toY = above ? fromY + 1 : fromY
    prepend(hunks, { aFrom: fromX + offset, aTo: toX + offset, bFrom: fromY + offset, bTo: toY + offset })
    x = fromX
    y = fromY
  }
  return hunks
}

function prepend(hunks: Hunk[], edit: Hunk): void {
  const next = hunks[0]
  if (next && next.aFrom === edit.aTo && next.bFrom === edit.bTo) {
    next.aFrom = edit.aFrom
    next.bFrom = edit.bFrom
  } else {
    hunks.unshift(edit)
  }
}

/** Words, runs of blanks, and single marks: what people take for the units of a sentence. */
export const words = (text: string): string[] => text.match(/[\p{L}\p{N}\p{M}_]+|\s+|[^\p{L}\p{N}\p{M}_\s]/gu) ?? []

/** Replace [from, to) by insert; offsets count UTF-16 units of the old text. */
export interface Change {
  from: number
  to: number
  insert: string
}

/** The changes that turn one text into another, by lines and inside them by words, ascending. */
export function changes(before: string, after: string): Change[] {
  if (before === after) return []
  const a = before.split('\n')
  const b = after.split('\n')
  const aAt = offsets(a, 1)
  const bAt = offsets(b, 1)
  return diff(a, b).flatMap((h) => changesInLines(before, after, h, aAt, bAt))
}

/** Where each token begins, and where the text after the last one would. */
function offsets(tokens: readonly string[], gap: number): number[] {
  const at = [0]
  for (const token of tokens) at.push(at.at(-1)! + token.length + gap)
  return at
}

function changesInLines(before: string, after: string, h: Hunk, aAt: number[], bAt: number[]): Change[] {
  // A side without lines still needs one of the line breaks around it, taken on both sides alike.
  const inner = h.aFrom < h.aTo && h.bFrom < h.bTo
  const atEnd = h.aTo === aAt.length - 1 || h.bTo === bAt.length - 1
  const shift = !inner && atEnd && h.aFrom > 0 && h.bFrom > 0 ? -1 : 0
  const end = inner ? -1 : shift
  const aFrom = aAt[h.aFrom]! + shift
  const bFrom = bAt[h.bFrom]! + shift
  const aTo = Math.min(aAt[h.aTo]! + end, before.length)
  const bTo = Math.min(bAt[h.bTo]! + end, after.length)
  return changesInText(before.slice(aFrom, aTo), after.slice(bFrom, bTo), aFrom)
}

function changesInText(before: string, after: string, offset: number): Change[] {
  const a = words(before)
  const b = words(after)
  const aAt = offsets(a, 0)
  const bAt = offsets(b, 0)
  return diff(a, b).map((h) => ({
    from: offset + aAt[h.aFrom]!,
    to: offset + aAt[h.aTo]!,
    insert: after.slice(bAt[h.bFrom]!, bAt[h.bTo]!),
  }))
}

/** A piece of a text and whether it is new in it. */
export interface Piece {
  text: string
  changed: boolean
}

/** The text `after`, cut where it differs from `before`. */
export function pieces(before: string, after: string): Piece[] {
  const out: Piece[] = []
  const push = (text: string, changed: boolean) => text && out.push({ text, changed })
  let at = 0
  for (const c of changes(after, before)) {
    push(after.slice(at, c.from), false)
    push(after.slice(c.from, c.to), true)
    at = c.to
  }
  push(after.slice(at), false)
  return out
}
