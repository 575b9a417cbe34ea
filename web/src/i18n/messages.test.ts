// @vitest-environment jsdom
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { i18n, preferredLanguage, setLanguage } from '.'
import de from './de'
import en from './en'

type Tree = { [key: string]: string | Tree }

const flat = (tree: Tree, path = ''): [string, string][] =>
  Object.entries(tree).flatMap(([key, value]) =>
    typeof value === 'string' ? [[path + key, value] as [string, string]] : flat(value, `${path}${key}.`),
  )
const placeholders = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort()
const source = join(import.meta.dirname, '..')
const code = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(vue|ts)$/.test(name) && !name.startsWith('i18n'))
  .map((name) => readFileSync(join(source, name), 'utf8'))
  .join('\n')

describe('words', () => {
  it('are used, each of them', () => {
    const patterns = [...code.matchAll(/[`']([a-zA-Z]+(?:\.[a-zA-Z]+)*)\.\$\{/g)].map(([, prefix]) => `${prefix}.`)
    const unused = flat(en).map(([key]) => key).filter((key) => !code.includes(`'${key}'`) && !code.includes(`"${key}"`) && !patterns.some((prefix) => key.startsWith(prefix)))
    expect(unused).toEqual([])
  })

  it('exist, each that is used', () => {
    const known = new Set(flat(en).map(([key]) => key))
    const used = [...code.matchAll(/\bt\(\s*'([\w.]+)'/g)].map(([, key]) => key!)
    expect(used.filter((key) => !known.has(key))).toEqual([])
  })

  it('have the same places to fill in in every language', () => {
    const german = new Map(flat(de))
    for (const [key, text] of flat(en)) expect(placeholders(german.get(key)!), key).toEqual(placeholders(text))
  })

  it('can be told one from many', async () => {
    const { t } = i18n.global
    expect(t('rail.unsent', 1)).toBe('1 note not sent yet')
    expect(t('rail.unsent', 3)).toBe('3 notes not sent yet')
    await setLanguage('de')
    expect(t('rail.unsent', 3)).toBe('3 Notizen noch nicht gesendet')
    await setLanguage('en')
  })

  it('follow the browser', () => {
    expect(preferredLanguage(['fr-FR', 'de-AT', 'en'])).toBe('de')
    expect(preferredLanguage(['fr'])).toBe('en')
  })
})
