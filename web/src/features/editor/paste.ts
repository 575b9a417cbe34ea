import type { Extension } from '@codemirror/state'
import { EditorView } from '@codemirror/view'
import TurndownService from 'turndown'

const converter = createConverter()

function createConverter(): TurndownService {
  const service = new TurndownService({
    headingStyle: 'atx',
    hr: '---',
    bulletListMarker: '-',
    codeBlockStyle: 'fenced',
    emDelimiter: '*',
  })
  service.remove(['script', 'style', 'title', 'meta', 'noscript', 'template'] as (keyof HTMLElementTagNameMap)[])
  service.addRule('strike', {
    filter: ['del', 's'],
    replacement: (content) => `~~${content}~~`,
  })
  service.addRule('item', {
    filter: 'li',
    replacement: (content, node) => {
      const list = node.parentElement
      const start = Number(list?.getAttribute('start') ?? 1)
      const bullet = list?.localName === 'ol' ? `${start + [...list.children].indexOf(node as Element)}. ` : '- '
      const text = content.trim().replace(/\n/g, `\n${' '.repeat(bullet.length)}`)
      return `${bullet}${text}${node.nextSibling ? '\n' : ''}`
    },
  })
  return service
}

/** What a piece of a web page or a word processor is in Markdown. */
export const markdownOf = (html: string): string => converter.turndown(html).trim()

/** Formatting that is worth keeping; anything else pastes better as plain text. */
const rich = /<(?:a\s[^>]*href|strong|b>|em|i>|ul|ol|li|h[1-6]|blockquote|pre|code|table|del|s>)/i

/** Pasting rich text gives Markdown; with Shift, browsers give plain text. */
export const pasteRichText: Extension = EditorView.domEventHandlers({
  paste(event, view) {
    const html = event.clipboardData?.getData('text/html') ?? ''
    // Code editors put their colours into HTML; the text is what was meant.
    if (!rich.test(html) || html.includes('vscode') || view.state.readOnly) return false
    const text = markdownOf(html)
    if (!text) return false
    event.preventDefault()
    view.dispatch(view.state.replaceSelection(text), { scrollIntoView: true, userEvent: 'input.paste' })
    return true
  },
})
