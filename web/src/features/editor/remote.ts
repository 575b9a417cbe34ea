import { StateEffect, StateField, Transaction, type Extension } from '@codemirror/state'
import { Decoration, type DecorationSet, EditorView, WidgetType } from '@codemirror/view'
import { changes } from '../editing/diff'

interface Mark {
  from: number
  to: number
  name?: string
}

const mark = StateEffect.define<Mark[]>()
const unmark = StateEffect.define<null>()

/** Shows what others changed, for this long, in milliseconds. */
const glow = 2_600

class NameTag extends WidgetType {
  constructor(private readonly name: string) {
    super()
  }
  override eq(other: NameTag) {
    return other.name === this.name
  }
  override toDOM() {
    const tag = document.createElement('span')
    tag.className = 'nw-remote-name'
    tag.setAttribute('aria-hidden', 'true')
    tag.append(Object.assign(document.createElement('span'), { textContent: this.name }))
    return tag
  }
}

const marks = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(set, tr) {
    set = set.map(tr.changes)
    for (const effect of tr.effects) {
      if (effect.is(unmark)) set = Decoration.none
      if (effect.is(mark)) set = Decoration.set(effect.value.flatMap(decorations), true)
    }
    return set
  },
  provide: (field) => EditorView.decorations.from(field),
})

function decorations({ from, to, name }: Mark) {
  return [
    ...(name ? [Decoration.widget({ widget: new NameTag(name), side: -1 }).range(from)] : []),
    ...(to > from ? [Decoration.mark({ class: 'nw-remote' }).range(from, to)] : []),
  ]
}

export const remoteMarks: Extension = marks

const timers = new WeakMap<EditorView, ReturnType<typeof setTimeout>>()

/**
 * Makes the text what others made of it, touching only what differs: the cursor, the selection, the scroll position and
 * one's own undo history stay. What is new glows for a moment under the name of who wrote it.
 */
export function applyRemote(view: EditorView, text: string, name: string): void {
  const edits = changes(view.state.doc.toString(), text)
  if (!edits.length) return
  const set = view.state.changes(edits)
  const shown: Mark[] = []
  set.iterChanges((_fromA, _toA, from, to) => shown.push({ from, to, name: shown.length ? undefined : name || undefined }))
  view.dispatch({
    changes: set,
    effects: mark.of(shown),
    annotations: [Transaction.addToHistory.of(false), Transaction.remote.of(true), Transaction.userEvent.of('remote')],
  })
  clearTimeout(timers.get(view))
  timers.set(
    view,
    setTimeout(() => view.dispatch({ effects: unmark.of(null) }), glow),
  )
}

/** To be called before the view goes. */
export const forgetRemote = (view: EditorView) => clearTimeout(timers.get(view))
