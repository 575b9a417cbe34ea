import { HighlightStyle, syntaxHighlighting, syntaxTree } from '@codemirror/language'
import { type Extension, RangeSetBuilder } from '@codemirror/state'
import { Decoration, type DecorationSet, EditorView, ViewPlugin, type ViewUpdate } from '@codemirror/view'
import { tags as t } from '@lezer/highlight'

const theme = EditorView.theme({
  '&': { color: 'var(--text)', backgroundColor: 'transparent', fontSize: '1.0625rem' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--font-text)', lineHeight: '1.65', overflow: 'visible' },
  '.cm-content': { padding: '0', caretColor: 'var(--accent)' },
  '.cm-line': { padding: '0' },
  '.cm-placeholder': { color: 'var(--text-muted)' },
  '.nw-code': { fontFamily: 'var(--font-mono)', fontSize: '0.875em', backgroundColor: 'var(--surface-sunken)', padding: '0 0.75rem' },
  '.nw-quote': { borderInlineStart: '3px solid var(--line)', paddingInlineStart: '0.875rem', color: 'var(--text-muted)' },
  '.nw-h1, .nw-h2, .nw-h3': { paddingTop: '0.75em' },
  '.cm-line:first-child': { paddingTop: '0' },
  // Wrapped lines of an item hang under its text.
  '.nw-item': { paddingInlineStart: '1em', textIndent: '-1em' },
  '.nw-item.nw-task': { paddingInlineStart: '2.45em', textIndent: '-2.45em' },
  '.nw-done': { color: 'var(--text-muted)' },
  '.nw-remote': { backgroundColor: 'var(--remote)', borderRadius: '2px', transition: 'background-color 140ms' },
  '.nw-remote-name': { position: 'relative' },
  '.nw-remote-name > span': {
    position: 'absolute',
    insetInlineStart: '0',
    bottom: '1.4em',
    padding: '0 0.4rem',
    borderRadius: '4px',
    backgroundColor: 'var(--accent)',
    color: 'var(--accent-text)',
    fontFamily: 'var(--font-sans)',
    fontSize: '0.75rem',
    lineHeight: '1.25rem',
    whiteSpace: 'nowrap',
    pointerEvents: 'none',
    zIndex: '5',
  },
})

const highlight = HighlightStyle.define([
  { tag: t.heading1, fontWeight: '700', fontSize: '1.45em', lineHeight: '1.3' },
  { tag: t.heading2, fontWeight: '700', fontSize: '1.2em', lineHeight: '1.4' },
  { tag: [t.heading3, t.heading4, t.heading5, t.heading6], fontWeight: '700' },
  { tag: t.strong, fontWeight: '700' },
  { tag: t.emphasis, fontStyle: 'italic' },
  { tag: t.strikethrough, textDecoration: 'line-through' },
  { tag: t.monospace, fontFamily: 'var(--font-mono)', fontSize: '0.875em' },
  { tag: t.link, color: 'var(--accent)', textDecoration: 'underline', textUnderlineOffset: '2px' },
  { tag: t.url, color: 'var(--text-muted)' },
  { tag: [t.processingInstruction, t.contentSeparator, t.labelName], color: 'var(--text-muted)', fontWeight: '400' },
  { tag: t.atom, color: 'var(--accent)', fontFamily: 'var(--font-mono)', fontSize: '0.9em' },
])

const lineClasses: Record<string, string> = {
  FencedCode: 'nw-code',
  CodeBlock: 'nw-code',
  Blockquote: 'nw-quote',
  ATXHeading1: 'nw-h1',
  ATXHeading2: 'nw-h2',
  ATXHeading3: 'nw-h3',
}

/** Classes for the lines of code, quotes and headings that are on the screen. */
const lines = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet
    constructor(view: EditorView) {
      this.decorations = decorate(view)
    }
    update(update: ViewUpdate) {
      const parsed = syntaxTree(update.startState) !== syntaxTree(update.state)
      if (update.docChanged || update.viewportChanged || parsed) this.decorations = decorate(update.view)
    }
  },
  { decorations: (plugin) => plugin.decorations },
)

function decorate(view: EditorView): DecorationSet {
  const found = new Map<number, string>()
  const add = (from: number, to: number, name: string) => {
    for (let at = view.state.doc.lineAt(from).from; at <= to; at = view.state.doc.lineAt(at).to + 1) {
      found.set(at, found.has(at) ? `${found.get(at)} ${name}` : name)
    }
  }
  for (const { from, to } of view.visibleRanges) {
    syntaxTree(view.state).iterate({
      from,
      to,
      enter: (node) => {
        const name = lineClasses[node.name]
        if (node.name === 'ListItem') add(node.from, node.from, 'nw-item')
        if (node.name === 'TaskMarker') add(node.from, node.from, 'nw-task')
        if (name) add(Math.max(node.from, from), Math.min(node.to, to), name)
        if (node.name === 'TaskMarker' && /x/i.test(view.state.sliceDoc(node.from, node.to))) add(node.from, node.to, 'nw-done')
      },
    })
  }
  const builder = new RangeSetBuilder<Decoration>()
  for (const [at, name] of [...found].sort(([a], [b]) => a - b)) builder.add(at, at, Decoration.line({ class: name }))
  return builder.finish()
}

export const styling: Extension = [theme, syntaxHighlighting(highlight), lines]
