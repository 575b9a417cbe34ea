import { describe, expect, it } from 'vitest'
import { eventually, newAccount, stack, twoBrowsers } from './world'

const { at, signedUp } = twoBrowsers()

const text = `We ship on **Thursday at 9:00**, before the newsletter.

## What has to be true

- [x] Pricing page reads well on a phone
- [ ] Support macros are *translated*

> If the error rate moves at all, we go back first and talk second.

| Person | Covers | Until |
|:--|:--|--:|
| Mia | Billing | 14:00 |

\`\`\`sh
nw flags set quiet-release --percent 0
\`\`\`

See [the retro](https://example.org/retro). ![A chart](https://example.org/chart.png)`

const screens = [
  { name: 'wide', width: 1440, height: 900, scale: 1, axe: true },
  { name: 'tablet', width: 768, height: 1024, scale: 1, axe: false },
  { name: 'phone', width: 390, height: 844, scale: 2, axe: true },
  // 1440 by 900 at 200 %.
  { name: 'zoomed', width: 720, height: 450, scale: 2, axe: false },
]

describe.each(['light', 'dark'] as const)('in %s', (scheme) => {
  it.each(screens)('on a $name screen every page fits and can be used by everyone', async ({ name, width, height, scale, axe }) => {
    const wide = width >= 1100
    const person = await at(0, newAccount('Ann'), { colorScheme: scheme, viewport: { width, height }, deviceScaleFactor: scale, reducedMotion: 'reduce' })
    const { page } = person
    const look = async (what: string) => {
      await person.screenshot(`${name}-${scheme}-${what}`)
      if (axe) await person.expectAccessible(`${what}, ${name}, ${scheme}`)
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      expect(overflow, `${what} is wider than the screen`).toBeLessThanOrEqual(0)
    }

    await page.goto('/sign-in')
    await page.getByLabel('E-mail').waitFor()
    await look('01-sign-in')
    await page.getByRole('link', { name: 'Create an account' }).click()
    await page.getByLabel('Your name').waitFor()
    await look('02-sign-up')
    await person.signsUp()
    await page.getByText('No notes yet.').waitFor()
    await look('03-empty')

    await person.writes('Launch plan: the quiet release', text)
    await page.locator('.cm-line', { hasText: 'Thursday' }).waitFor()
    await look('04-note')
    await page.getByRole('button', { name: 'Read', exact: true }).click()
    await page.getByRole('article').getByText('Thursday').waitFor()
    await look('05-reading')

    if (width < 768) {
      await page.getByRole('button', { name: 'More about this note' }).click()
      await page.getByRole('menuitem', { name: 'Outline, history and access' }).click()
    } else {
      await page.getByRole('button', { name: 'Outline, history and access' }).click()
    }
    for (const tab of ['Outline', 'History', 'Access']) {
      await page.getByRole('tab', { name: tab }).click()
      await page.getByRole('tabpanel').getByRole('listitem').first().waitFor()
      await look(`06-${tab.toLowerCase()}`)
    }
    await page.getByRole('button', { name: 'Close this panel' }).click()
    await page.getByRole('button', { name: 'Share', exact: true }).first().click()
    await page.getByRole('dialog').getByRole('combobox', { name: 'Name or e-mail' }).fill(stack().owner.email)
    await page.locator('li[role=option]').first().waitFor()
    await look('07-share')
    await person.closesDialog()
    await page.keyboard.press('ControlOrMeta+k')
    await page.getByRole('combobox', { name: 'Search and commands' }).fill('quiet')
    await page.locator('[role=option] mark').first().waitFor()
    await look('08-search')
    await person.closesDialog()
    await page.evaluate(() => (document.activeElement as HTMLElement).blur())
    await page.keyboard.press('Shift+?')
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
    await look('09-shortcuts')
    await person.closesDialog()

    await page.goto('/')
    await person.row('Launch plan').waitFor()
    await look('10-list')
    if (!wide) {
      await page.getByRole('button', { name: 'Open the menu' }).click()
      await page.getByRole('link', { name: 'Shared with me' }).waitFor()
      await look('11-drawer')
      await page.keyboard.press('Escape')
    }
    await page.goto('/settings')
    await page.getByLabel('Name', { exact: true }).waitFor()
    await look('12-settings')
    await page.goto('/nowhere/at/all')
    await page.getByText('There is no such page').waitFor()
    await look('13-missing')
  })
})

describe('by keyboard alone', () => {
  it('signs up, writes, shares, searches and signs out', async () => {
    const colleague = await signedUp(1, 'Cleo')
    const person = await at(0, newAccount('Dora'))
    const { page, account } = person
    const press = (...keys: string[]) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve())
    const type = (words: string) => page.keyboard.type(words)
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent?.trim() ?? '')
    /** Tabs on until something of that name has the keyboard, and checks that one can see it. */
    const tabTo = async (name: RegExp) => {
      for (let i = 0; i < 60; i++) {
        await press('Tab')
        if (!name.test(await focused())) continue
        const outline = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle)
        expect(outline, `the focus on ${name} can be seen`).not.toBe('none')
        return
      }
      throw new Error(`no ${name} by Tab`)
    }

    await page.goto('/sign-up')
    await page.getByLabel('E-mail').waitFor()
    await eventually(async () => expect(await page.evaluate(() => document.activeElement?.id)).toBe('email'))
    await type(account.email)
    await press('Tab')
    await type(account.name)
    await press('Tab')
    await type(account.password)
    await press('Enter')
    await person.isIn()

    await press('n')
    await eventually(async () => expect(await focused()).toBe('Title'))
    await type('Written by keys')
    await press('Enter')
    await eventually(async () => expect(await focused()).toBe('Text of the note'))
    await type('- [ ] milk')
    await press('Enter')
    await type('bread')
    await press('ControlOrMeta+Enter')
    await eventually(async () => expect(await person.text()).toBe('- [ ] milk\n- [x] bread'))
    await person.sees('Saved')
    await press('Escape', 'Tab')
    expect(await focused()).not.toBe('Text of the note')

    await tabTo(/^Share$/)
    await press('Enter')
    await eventually(async () => expect(await focused()).toBe('Name or e-mail'))
    await type(colleague.account.name)
    await page.getByRole('option', { name: colleague.account.name }).waitFor()
    await press('Enter', 'Enter')
    await page.locator('[data-test=share]').filter({ hasText: colleague.account.name }).waitFor()
    await press('Escape')

    const search = async (words: string) => {
      await press('ControlOrMeta+k')
      await eventually(async () => expect(await focused()).toBe('Search and commands'))
      await type(words)
    }
    await search('milk')
    await page.locator('[role=option] mark').first().waitFor()
    await press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await search('sign out')
    await page.getByRole('option', { name: 'Sign out' }).waitFor()
    await press('Enter')
    await page.getByText('You are signed out.').waitFor()
  })
})

describe('first load', () => {
  it('brings no editor and stays small', async () => {
    const person = await at(0, newAccount('Ann'))
    const loaded: string[] = []
    person.page.on('response', (response) => void loaded.push(new URL(response.url()).pathname))
    await person.signsUp()
    await person.page.getByText('No notes yet.').waitFor()
    expect(loaded.filter((path) => /Markdown/.test(path))).toEqual([])
  })
})
