// @vitest-environment jsdom
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { excerptOf, outlineOf } from './outline'
import { renderMarkdown, sanitize } from './render'

// Only what hangs takes so long.
vi.setConfig({ testTimeout: 120_000 })

const tags = [
  'a', 'blockquote', 'br', 'code', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'li', 'ol', 'p', 'pre', 's', 'span',
  'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul',
]
const attributes = ['href', 'title', 'class', 'start', 'dir', 'rel', 'target', 'data-image', 'data-alt']
const page = 'https://team.notes.example/n/1'

/** What a browser would do with an address, or nothing if it would do nothing. */
function leadsTo(address: string): URL | undefined {
  return URL.canParse(address, page) ? new URL(address, page) : undefined
}

function expectHarmless(fragment: DocumentFragment) {
  for (const element of fragment.querySelectorAll('*')) {
    expect(tags).toContain(element.localName)
    expect(element.namespaceURI).toBe('http://www.w3.org/1999/xhtml')
    for (const { name, value } of element.attributes) {
      expect(attributes).toContain(name)
      if (name !== 'href' && name !== 'data-image') continue
      const to = leadsTo(value)
      if (to) expect(['http:', 'https:', 'mailto:', 'tel:']).toContain(to.protocol)
    }
  }
  expect([...walk(fragment)].filter((node) => ![Node.ELEMENT_NODE, Node.TEXT_NODE].includes(node.nodeType as 1 | 3))).toEqual([])
}

function* walk(node: Node): Generator<Node> {
  for (const child of node.childNodes) {
    yield child
    yield* walk(child)
  }
}

function htmlOf(fragment: DocumentFragment): string {
  const host = document.createElement('div')
  host.append(fragment.cloneNode(true))
  return host.innerHTML
}

/** What becomes of a fragment whose text goes through a parser once more, as when it is copied. */
function parsedAgain(fragment: DocumentFragment): DocumentFragment {
  const holder = document.createElement('template')
  holder.innerHTML = htmlOf(fragment)
  return holder.content
}

// Text that is built to be taken for something else.

const spelled = (letter: string) =>
  fc.constantFrom(
    letter, letter, letter, letter.toUpperCase(), `&#${letter.charCodeAt(0)};`, `&#x${letter.charCodeAt(0).toString(16)};`, `&#0000${letter.charCodeAt(0)}`,
    `%${letter.charCodeAt(0).toString(16)}`, `\\${letter}`, `${letter}&Tab;`, `${letter}\t`, `${letter}&NewLine;`, `${letter}%0a`, `\u0000${letter}`, `${letter}\u200b`,
    `${letter}\u00ad`, `<!---->${letter}`, `&#8238;${letter}`,
  )

const scheme = fc
  .tuple(
    fc.constantFrom('', ' ', '\u0001', '&#1;', '\ufeff', '\u00a0', 'view-source:', 'feed:', 'https:', '//', '/\\', '\\\\'),
    fc.constantFrom('javascript', 'vbscript', 'data', 'blob', 'file', 'livescript', 'mocha').chain((name) => fc.tuple(...[...name].map(spelled))),
    fc.constantFrom(':', '&colon;', '&#58;', '%3a', '\\:', ':\t', '&#x3a'),
    fc.constantFrom('alert(1)', '//evil.example/%0aalert(1)', 'text/html;base64,PHNjcmlwdD4=', 'text/html,<script>alert(1)</script>', 'image/svg+xml,<svg onload=alert(1)>'),
  )
  .map(([before, name, colon, rest]) => before + name.join('') + colon + rest)

const address = fc.oneof(
  { weight: 3, arbitrary: scheme },
  fc.constantFrom('/\\evil.example', '/\t/evil.example', '/&Tab;/evil.example', '\\/evil.example', '//evil.example', 'https:evil.example', 'https://team.notes.example@evil.example', '#', 'mailto:a@b?x=<script>', 'http://['),
  fc.webUrl({ withFragments: true, withQueryParameters: true }),
)

const event = fc.constantFrom('onerror', 'onload', 'onclick', 'onmouseover', 'onbegin', 'onfocus', 'ontoggle', 'ONERROR', 'on\u0000error', 'onbeforescriptexecute')
const attribute = fc.oneof(
  fc.tuple(event, fc.constantFrom('alert(1)', '"alert(1)"', "'alert`1`'")).map(([name, value]) => `${name}=${value}`),
  fc
    .tuple(fc.constantFrom('href', 'src', 'xlink:href', 'action', 'formaction', 'srcdoc', 'data', 'data-image', 'background', 'poster', 'ping', 'srcset'), address)
    .map(([name, value]) => `${name}="${value}"`),
  fc.constantFrom('id=body', 'name=attributes', 'id=__proto__', 'name=nodeName', 'style="position:fixed"', 'style=x:expression(alert(1))', 'is=x', 'slot=x', 'contenteditable', 'autofocus', 'xmlns="http://www.w3.org/2000/svg"', 'http-equiv=refresh', 'content="0;url=//evil.example"', '"', "'", '=', '/', '`'),
)
const element = fc.constantFrom(
  ...tags, 'script', 'style', 'svg', 'math', 'img', 'iframe', 'object', 'embed', 'form', 'input', 'button', 'base', 'meta', 'link', 'template', 'noscript', 'title', 'textarea', 'xmp',
  'plaintext', 'noembed', 'noframes', 'select', 'option', 'mglyph', 'malignmark', 'mtext', 'mi', 'annotation-xml', 'foreignObject', 'desc', 'animate', 'set', 'use', 'image', 'video',
  'audio', 'source', 'body', 'html', 'head', 'frameset', 'details', 'dialog', 'marquee', 'isindex', 'keygen', 'x-y', 'sc\u0000ript', 'scr<script>ipt', 'col', 'caption', 'nobr', 'font',
)
const close = fc.constantFrom('>', '>', '>', '/>', '', ' ', '\n>', '//>', '\u0000>')
const crumb = fc.constantFrom('<!--', '-->', '--!>', '<![CDATA[', ']]>', '<?x', '?>', '<!DOCTYPE', '</', '<', '>', '"', "'", '`', '&lt;', '&amp;lt;', '&#60;', '\u2028', '\ud800', '\u202e', '\u0000', '</p>', '</style>', '</title>', '</textarea>')

const html = fc.letrec<{ piece: string; all: string }>((tie) => ({
  piece: fc.oneof(
    { depthSize: 'small' },
    crumb,
    fc.string({ unit: 'grapheme', maxLength: 8 }),
    fc.tuple(element, fc.array(attribute, { maxLength: 3 }), close, tie('all'), fc.boolean()).map(
      ([name, list, end, inner, closed]) => `<${[name, ...list].join(' ')}${end}${inner}${closed ? `</${name}>` : ''}`,
    ),
  ),
  all: fc.array(tie('piece'), { maxLength: 4 }).map((parts) => parts.join('')),
})).all

const markdown = fc.letrec<{ piece: string; all: string }>((tie) => ({
  piece: fc.oneof(
    { depthSize: 'small' },
    html,
    crumb,
    address,
    fc.constantFrom('\n', '\n\n', '\n```\n', '\n~~~\n', '\n---\n', '\n|a|b|\n|:-|-:|\n|', '\n    ', '\n\t', '[', ']', '](', ')', '![', '**', '_', '~~', '`', '``', '\\', '[^1]', ': ', '  \n', '[ ] ', '[x] '),
    fc.tuple(fc.constantFrom('', '!'), tie('all'), address, fc.constantFrom('', ' "', " '", ' ('), tie('all')).map(
      ([bang, label, to, quote, title]) => `${bang}[${label}](${to}${quote}${title}${quote.trim().replace('(', ')')})`,
    ),
    fc.tuple(tie('all'), address).map(([label, to]) => `[${label}][r]\n\n[r]: ${to}\n`),
    address.map((to) => `<${to}>`),
    fc.tuple(fc.constantFrom('> ', '- ', '1. ', '# ', '* [ ] ', '+ [x] ', '```', '    ', '> > '), tie('all')).map(([mark, inner]) => `\n${mark}${inner}\n`),
  ),
  all: fc.array(tie('piece'), { maxLength: 5 }).map((parts) => parts.join('')),
})).all

describe('whatever is written', () => {
  it('does nothing and leads nowhere it should not', () => {
    fc.assert(
      fc.property(markdown, (source) => {
        const fragment = renderMarkdown(source)
        expectHarmless(fragment)
        expectHarmless(parsedAgain(fragment))
        expect(fragment.textContent).not.toMatch(/[\u202d\u202e]/)
        for (const link of fragment.querySelectorAll('a')) {
          expect([link.rel, link.target]).toEqual(['noopener noreferrer', '_blank'])
          const address = link.getAttribute('href') ?? ''
          if (address.startsWith('/')) expect(leadsTo(address)?.host).toBe(new URL(page).host)
        }
        for (const holder of fragment.querySelectorAll('[data-image]')) {
          expect(holder.getAttribute('data-image')).toMatch(/^https?:/i)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('can be listed and outlined', () => {
    fc.assert(
      fc.property(markdown, (source) => {
        expect(excerptOf(source).length).toBeLessThanOrEqual(200)
        const lines = source.split('\n').length
        for (const { level, line } of outlineOf(source)) {
          expect(level >= 1 && level <= 6 && line >= 0 && line < lines).toBe(true)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('whatever HTML there were', () => {
  it('is harmless when it has been sanitised, and when it is parsed again', () => {
    fc.assert(
      fc.property(html, (source) => {
        const fragment = sanitize(source)
        expectHarmless(fragment)
        expectHarmless(parsedAgain(fragment))
      }),
      { numRuns: 500 },
    )
  })
})

/** How often the parser looks at a character, and how many elements come of it: what rendering costs, by no clock. */
function workOf(source: string): number {
  const looksAt = String.prototype.charCodeAt
  let work = 0
  String.prototype.charCodeAt = function (index) {
    work++
    return looksAt.call(this, index)
  }
  try {
    return renderMarkdown(source).querySelectorAll('*').length + work
  } finally {
    String.prototype.charCodeAt = looksAt
  }
}

// Up to a hundred levels of nesting each costs more than the one before; there are more repetitions than that.
describe('twice the text', () => {
  const repeated = ['>', '> ', '- ', '1. ', '* a\n', '[', '![', '[a](', '[a][', '[a]: x\n', '*a', '**a_', '_a', '~~', '`', '`` ', '<', '<a', '<!--', '&', '&#', '|a', '|a|\n', '# a\n', '\\', '```\n', '    a\n', 'http://a', 'a@b.c ', '\t', '\n', '\u0000', '🦉']

  it.each(repeated)('of %j takes about twice the work', (piece) => {
    expect(workOf(piece.repeat(1000))).toBeLessThanOrEqual(2.5 * workOf(piece.repeat(500)) + 1000)
  })

  it('of a mixture takes about twice the work', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...repeated), { minLength: 2, maxLength: 5 }), (pieces) => {
        const piece = pieces.join('')
        expect(workOf(piece.repeat(600))).toBeLessThanOrEqual(3 * workOf(piece.repeat(300)) + 1000)
      }),
      { numRuns: 30, seed: 1 }, // the same each time: the bound is about this parser, and not about luck
    )
  })
})
