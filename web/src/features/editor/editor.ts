import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands'
import { markdown, markdownLanguage } from '@codemirror/lang-markdown'
import { indentUnit } from '@codemirror/language'
import { EditorState, Transaction } from '@codemirror/state'
import { EditorView, keymap, placeholder } from '@codemirror/view'
import { formatKeys } from './format'
import { pasteRichText } from './paste'
import { remoteMarks } from './remote'
import { styling } from './styling'

export interface EditorOptions {
  text: string
  label: string
  describedBy: string
  placeholder: string
  nonce: string
  /** The person changed the text. */
  typed(text: string): void
}

/** A Markdown editor in an element that grows with its text. */
export function createEditor(parent: HTMLElement, options: EditorOptions): EditorView {
  return new EditorView({
    parent,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        EditorView.cspNonce.of(options.nonce),
        EditorView.lineWrapping,
        EditorView.perLineTextDirection.of(true),
        EditorView.contentAttributes.of({
          'aria-label': options.label,
          'aria-describedby': options.describedBy,
          spellcheck: 'true',
          autocorrect: 'on',
          autocapitalize: 'sentences',
        }),
        placeholder(options.placeholder),
        history(),
        indentUnit.of('  '),
        // Browsers and the app own these keys.
        keymap.of([...formatKeys, ...defaultKeymap.filter(({ key }) => key !== 'Mod-Alt-\\'), ...historyKeymap, indentWithTab]),
        markdown({ base: markdownLanguage, completeHTMLTags: false, pasteURLAsLink: true }),
        pasteRichText,
        remoteMarks,
        styling,
        EditorView.updateListener.of((update) => {
          const own = update.transactions.some((tr) => tr.docChanged && !tr.annotation(Transaction.remote))
          if (own) options.typed(update.state.doc.toString())
        }),
      ],
    }),
  })
}

/** Brings a line to the top part of the screen and puts the cursor there. */
export function revealLine(view: EditorView, line: number): void {
  const at = view.state.doc.line(Math.min(line + 1, view.state.doc.lines)).from
  view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: 'start', yMargin: 80 }) })
  view.focus()
}
