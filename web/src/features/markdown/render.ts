import DOMPurify, { type Config } from 'dompurify'
import createMarkdownIt, { type MarkdownIt, type StateCore, type Token } from 'markdown-it'

/**
 * Turns Markdown into a fragment that is safe to insert: no scripts, no styles, no forms, no ids, no requests to other
 * hosts. Remote images become elements with `data-image`, which RemoteImages makes loadable by a click.
 * Sanitising is the last step, so nothing before it has to be trusted.
 */
export function renderMarkdown(source: string): DocumentFragment {
  return sanitize(withoutOverrides(markdown.render(withoutOverrides(source))))
}

/** What of any HTML may be inserted. Where a frameset takes the place of the body, DOMPurify finds nothing at all. */
export function sanitize(html: string): DocumentFragment {
  return (DOMPurify.sanitize(html, rules) as DocumentFragment | null) ?? document.createDocumentFragment()
}

/** Direction overrides make text read other than it is (a link's host, a file's ending); nobody needs them in a note. They come as entities, too. */
const withoutOverrides = (text: string) => text.replace(/[\u202d\u202e]/g, '')

const rules = {
  RETURN_DOM_FRAGMENT: true as const,
  ALLOWED_TAGS: [
    'a', 'blockquote', 'br', 'code', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'li', 'ol', 'p', 'pre', 's', 'span',
    'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul',
  ],
  ALLOWED_ATTR: ['href', 'title', 'class', 'start', 'dir', 'rel', 'target', 'data-image', 'data-alt'],
  // All other attributes must look like an address below; these are words.
  ADD_URI_SAFE_ATTR: ['class', 'start', 'dir', 'rel', 'target', 'data-alt'],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|tel:|#|\/(?!\/))/i,
} satisfies Config

const blocks = new Set(['paragraph_open', 'heading_open', 'list_item_open', 'blockquote_open', 'td_open', 'th_open'])

const markdown = createMarkdown()

function createMarkdown(): MarkdownIt {
  const md: MarkdownIt = createMarkdownIt({ html: false, linkify: true, breaks: true })
  md.validateLink = (url) => rules.ALLOWED_URI_REGEXP.test(url.trim())
  md.core.ruler.push('noteworks', (state: StateCore) => state.tokens.forEach(refine))
  md.renderer.rules.image = (tokens, index) => image(md, tokens[index]!)
  md.renderer.rules.link_open = (tokens, index, options, _env, self) => {
    tokens[index]!.attrSet('rel', 'noopener noreferrer')
    tokens[index]!.attrSet('target', '_blank')
    return self.renderToken(tokens, index, options)
  }
  return md
}

function refine(token: Token, index: number, tokens: Token[]): void {
  if (blocks.has(token.type)) token.attrSet('dir', 'auto')
  if (token.type === 'td_open' || token.type === 'th_open') alignByClass(token)
  if (token.type === 'list_item_open') markTask(token, tokens[index + 1], tokens[index + 2])
}

/** The policy forbids style attributes. */
function alignByClass(token: Token): void {
  const side = /text-align:(left|center|right)/.exec(String(token.attrGet('style') ?? ''))?.[1]
  token.attrs = token.attrs?.filter(([name]) => name !== 'style') ?? null
  if (side) token.attrSet('class', `align-${side}`)
}

function markTask(item: Token, paragraph: Token | undefined, inline: Token | undefined): void {
  if (paragraph?.type !== 'paragraph_open' || inline?.type !== 'inline') return
  const first = inline.children?.[0]
  const box = /^\[([ xX])\]\s/.exec(first?.content ?? '')
  if (!first || first.type !== 'text' || !box) return
  first.content = first.content.slice(box[0].length)
  item.attrSet('class', box[1] === ' ' ? 'task' : 'task task-done')
}

function image(md: MarkdownIt, token: Token): string {
  const src = String(token.attrGet('src') ?? '')
  const escape = md.utils.escapeHtml
  if (!/^https?:/i.test(src)) return escape(token.content)
  return `<span class="remote-image" data-image="${escape(src)}" data-alt="${escape(token.content)}"></span>`
}
