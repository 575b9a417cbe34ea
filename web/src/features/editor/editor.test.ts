// @vitest-environment jsdom
import { history, redo, undo } from '@codemirror/commands'
import { EditorSelection, EditorState } from '@codemirror/state'
import { EditorView } from '@codemirror/view'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { tickedLine, toggleMark } from './format'
import { markdownOf } from './paste'
import { applyRemote, remoteMarks } from './remote'

const views: EditorView[] = []

function editor(doc: string, cursor = 0) {
  const view = new EditorView({
    state: EditorState.create({ doc, selection: { anchor: cursor }, extensions: [history(), remoteMarks] }),
  })
  views.push(view)
  return view
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  for (const view of views.splice(0)) view.destroy()
  vi.useRealTimers()
})

describe("others' changes", () => {
  it('leave the cursor where it was in the text', () => {
    const view = editor('one\ntwo\nthree', 5)
    applyRemote(view, 'zero\none\ntwo\nthree', 'Ann')
    expect(view.state.doc.toString()).toBe('zero\none\ntwo\nthree')
    expect(view.state.sliceDoc(view.state.selection.main.head)).toBe('wo\nthree')
  })

  it('glow for a while under a name', () => {
    const view = editor('one two')
    applyRemote(view, 'one more two', 'Ann')
    expect(view.dom.querySelector('.nw-remote')?.textContent).toBe('more ')
    expect(view.dom.querySelector('.nw-remote-name')?.textContent).toBe('Ann')
    vi.advanceTimersByTime(3_000)
    expect(view.dom.querySelector('.nw-remote, .nw-remote-name')).toBeNull()
  })

  it('are not undone by undoing one’s own', () => {
    const view = editor('text')
    view.dispatch({ changes: { from: 4, insert: ' mine' }, userEvent: 'input' })
    applyRemote(view, 'theirs text mine', 'Ann')
    undo(view)
    expect(view.state.doc.toString()).toBe('theirs text')
    redo(view)
    expect(view.state.doc.toString()).toBe('theirs text mine')
  })
})

describe('formatting', () => {
  it('marks and unmarks', () => {
    const view = editor('a word')
    view.dispatch({ selection: EditorSelection.single(2, 6) })
    toggleMark('**')(view)
    expect(view.state.doc.toString()).toBe('a **word**')
    toggleMark('**')(view)
    expect(view.state.doc.toString()).toBe('a word')
  })

  it.each([
    ['- [ ] a', '- [x] a'],
    ['- [x] a', '- [ ] a'],
    ['  1. [X] a', '  1. [ ] a'],
    ['- a', '- [ ] a'],
    ['a', '- [ ] a'],
    ['> - a', '> - [ ] a'],
    ['', '- [ ] '],
  ])('ticks %j to %j', (before, after) => {
    const { from, to, insert } = tickedLine(before)
    expect(before.slice(0, from) + insert + before.slice(to)).toBe(after)
  })
})

describe('pasted rich text', () => {
  it.each([
    ['<b>bold</b> and <em>more</em>', '**bold** and *more*'],
    ['<h2>Title</h2><p>Text</p>', '## Title\n\nText'],
    ['<ul><li>one</li><li>two</li></ul>', '- one\n- two'],
    ['<ol start="3"><li>three</li><li>four</li></ol>', '3. three\n4. four'],
    ['<a href="https://example.org">link</a>', '[link](https://example.org)'],
    ['<p>a<script>alert(1)</script><style>p{}</style></p>', 'a'],
    ['<s>gone</s>', '~~gone~~'],
  ])('%s', (html, want) => {
    expect(markdownOf(html)).toBe(want)
  })
})
