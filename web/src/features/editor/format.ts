import { type ChangeSpec, EditorSelection, type StateCommand } from '@codemirror/state'
import type { KeyBinding } from '@codemirror/view'

/** Puts a mark around each selection, or takes it away where it stands already. */
export function toggleMark(mark: string): StateCommand {
  return ({ state, dispatch }) => {
    const edits = state.changeByRange((range) => {
      const { from, to } = range
      const size = mark.length
      if (state.sliceDoc(from - size, from) === mark && state.sliceDoc(to, to + size) === mark) {
        const changes = [
          { from: from - size, to: from },
          { from: to, to: to + size },
        ]
        return { changes, range: EditorSelection.range(from - size, to - size) }
      }
      const changes = [
        { from, insert: mark },
        { from: to, insert: mark },
      ]
      return { changes, range: EditorSelection.range(from + size, to + size) }
    })
    dispatch(state.update(edits, { scrollIntoView: true, userEvent: 'input' }))
    return true
  }
}

const insertLink: StateCommand = ({ state, dispatch }) => {
  const edits = state.changeByRange((range) => {
    const text = state.sliceDoc(range.from, range.to)
    const address = range.from + text.length + 3
    return {
      changes: { from: range.from, to: range.to, insert: `[${text}](https://)` },
      range: text ? EditorSelection.range(address, address + 8) : EditorSelection.cursor(range.from + 1),
    }
  })
  dispatch(state.update(edits, { scrollIntoView: true, userEvent: 'input' }))
  return true
}

const item = /^(\s*(?:>\s*)*)((?:[-*+]|\d+[.)])\s+)?(\[([ xX])\]\s+)?/

/** A task gets ticked or unticked; any other line becomes a task. */
export function tickedLine(line: string): { from: number; to: number; insert: string } {
  const [, indent = '', bullet = '', box = '', state = ''] = item.exec(line) ?? []
  const start = indent.length + bullet.length
  if (box && bullet) return { from: start + 1, to: start + 2, insert: state === ' ' ? 'x' : ' ' }
  return bullet ? { from: start, to: start, insert: '[ ] ' } : { from: start, to: start, insert: '- [ ] ' }
}

const tick: StateCommand = ({ state, dispatch }) => {
  const lines = new Set<number>()
  for (const range of state.selection.ranges) {
    const last = state.doc.lineAt(range.to).number
    for (let n = state.doc.lineAt(range.from).number; n <= last; n++) lines.add(n)
  }
  const changes: ChangeSpec[] = [...lines].map((n) => {
    const line = state.doc.line(n)
    const { from, to, insert } = tickedLine(line.text)
    return { from: line.from + from, to: line.from + to, insert }
  })
  dispatch(state.update({ changes, userEvent: 'input' }))
  return true
}

export const formatKeys: KeyBinding[] = [
  { key: 'Mod-b', run: toggleMark('**') },
  { key: 'Mod-i', run: toggleMark('*') },
  { key: 'Mod-Shift-k', run: insertLink },
  { key: 'Mod-Enter', run: tick },
]
