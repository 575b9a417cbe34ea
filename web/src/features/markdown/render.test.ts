// @vitest-environment jsdom
import { describe, expect, it } from 'vitest'
import { excerptOf, outlineOf, plain } from './outline'
import { renderMarkdown, sanitize } from './render'

function html(source: string): string {
  const host = document.createElement('div')
  host.append(renderMarkdown(source))
  return host.innerHTML
}

describe('what is hostile does nothing', () => {
  const hostile: [string, string][] = [
    ['javascript link', '[a](javascript:alert(1))'],
    ['javascript link in capitals', '[a](JaVaScRiPt:alert(1))'],
    ['javascript link with entities', '[a](&#106;avascript&colon;alert(1))'],
    ['javascript link with a tab', '[a](java\tscript:alert(1))'],
    ['javascript link with an encoded newline', '[a](java%0ascript:alert(1))'],
    ['javascript link with a control character', '[a](\u0001javascript:alert(1))'],
    ['javascript autolink', '<javascript:alert(1)>'],
    ['javascript reference', '[a]\n\n[a]: javascript:alert(1)'],
    ['vbscript link', '[a](vbscript:msgbox(1))'],
    ['data link', '[a](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)'],
    ['data image', '![a](data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=)'],
    ['javascript image', '![a](javascript:alert(1))'],
    ['protocol-relative link', '[a](//evil.example/x)'],
    ['file link', '[a](file:///etc/passwd)'],
    ['blob link', '[a](blob:https://evil.example/1)'],
    ['script', '<script>alert(1)</script>'],
    ['image handler', '<img src=x onerror=alert(1)>'],
    ['svg handler', '<svg onload=alert(1)><animate onbegin=alert(1)></svg>'],
    ['math mutation', '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">'],
    ['style mutation', '<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">'],
    ['noscript mutation', '<noscript><p title="</noscript><img src=x onerror=alert(1)>">'],
    ['clobbering', '<form id=body><input name=attributes><a id=location href=x></a></form>'],
    ['base', '<base href="https://evil.example/">'],
    ['meta refresh', '<meta http-equiv=refresh content="0;url=https://evil.example">'],
    ['form', '<form action="https://evil.example"><button>go</button></form>'],
    ['frame', '<iframe srcdoc="<script>alert(1)</script>"></iframe>'],
    ['object', '<object data="x"></object><embed src="x">'],
    ['style attribute', '<p style="position:fixed;inset:0">x</p>'],
    ['title breaking out', '[a](https://x.example "\\"onmouseover=alert(1) x=\\"")'],
    ['alt breaking out', '![" onload=alert(1) x="](https://x.example/i.png)'],
    ['address breaking out', '![a](https://x.example/"onload="alert(1))'],
    ['fence language breaking out', '```" onmouseover=alert(1) x="\ncode\n```'],
  ]

  it.each(hostile)('%s', (_, source) => {
    const host = document.createElement('div')
    host.append(renderMarkdown(source))
    for (const element of host.querySelectorAll('*')) {
      expect(element.localName).not.toMatch(/^(script|style|svg|math|img|iframe|object|embed|form|input|button|base|meta|link)$/)
      for (const { name, value } of element.attributes) {
        expect(name).not.toMatch(/^(on|style$|id$|name$|src|srcdoc$|action$)/)
        if (name === 'href') expect(value).toMatch(/^(https?:|mailto:|tel:|#|\/(?!\/))/)
        if (name === 'data-image') expect(value).toMatch(/^https?:/)
      }
    }
  })

  it('takes direction overrides out', () => {
    expect(html('exe.\u202Etxt \u202Dx')).not.toMatch(/[\u202d\u202e]/)
    expect(html('exe.&#8238;txt &#x202D;x `&#8238;`')).not.toMatch(/[\u202d\u202e]/)
  })

  it('finds nothing in a page of frames', () => {
    expect(sanitize('<a><frameset>').childNodes).toHaveLength(0)
  })

  it('stays quick on nested quotes and on one huge line', () => {
    const start = performance.now()
    renderMarkdown('>'.repeat(50_000) + 'x')
    renderMarkdown('[a]('.repeat(20_000))
    renderMarkdown('word '.repeat(200_000))
    expect(performance.now() - start).toBeLessThan(10_000)
  })
})

describe('what is written is shown', () => {
  it('opens links apart, without an opener', () => {
    expect(html('[a](https://example.org)')).toContain(
      '<a href="https://example.org" rel="noopener noreferrer" target="_blank">a</a>',
    )
    expect(html('see https://example.org')).toContain('rel="noopener noreferrer"')
  })

  it('loads no image by itself', () => {
    expect(html('![a cat](https://example.org/cat.png)')).toContain(
      '<span class="remote-image" data-image="https://example.org/cat.png" data-alt="a cat"></span>',
    )
  })

  it('shows tasks', () => {
    const tasks = html('- [ ] open\n- [x] done\n- [link](https://x.example)')
    expect(tasks).toContain('class="task"')
    expect(tasks).toContain('class="task task-done"')
    expect(tasks).not.toContain('[x]')
  })

  it('aligns tables without style attributes', () => {
    const table = html('|a|b|\n|:-|-:|\n|1|2|')
    expect(table).toContain('class="align-right"')
    expect(table).not.toContain('style=')
  })

  it('finds the direction of each block by itself', () => {
    expect(html('שלום')).toContain('<p dir="auto">')
  })

  it('shows tags of HTML as the text they are', () => {
    expect(html('a <b>c</b>')).toContain('a &lt;b&gt;c&lt;/b&gt;')
  })
})

describe('outline', () => {
  it('has the headings outside of code', () => {
    expect(outlineOf('# A **b**\n```\n# no\n```\n## C #\n#no\ntext')).toEqual([
      { level: 1, text: 'A b', line: 0 },
      { level: 2, text: 'C', line: 4 },
    ])
  })

  it('reads as plain text', () => {
    expect(plain('**a** `b` [c](https://d) *e*')).toBe('a b c e')
    expect(excerptOf('# Title\n\n- [ ] one\n- two *three*\n\n```js\nx = a_b\n```')).toBe('Title one two three x = a_b')
    expect(excerptOf('Line 0. And more - of it')).toBe('Line 0. And more - of it')
    expect(excerptOf('Who:\n\n| part | who |\n| :-- | --- |\n| gateway | Ada |\n\n---\n\na | b')).toBe('Who: part who gateway Ada a | b')
  })
})
