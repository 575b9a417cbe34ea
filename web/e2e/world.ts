// People at their browsers. Whatever a browser complains about (errors, the content security policy) fails the test.
import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { AxeBuilder } from '@axe-core/playwright'
import { chromium, type Browser, type BrowserContextOptions, type Locator, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, inject } from 'vitest'

export const stack = () => inject('stack')

const screenshots = resolve(import.meta.dirname, '../screenshots')
let counter = 0

function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

export interface Account {
  name: string
  email: string
  password: string
}

export function newAccount(name: string): Account {
  const only = `${Date.now().toString(36)}${counter++}`
  return { name: `${name} ${only}`, email: `${name.toLowerCase()}-${only}@example.org`, password: `quiet ${name} writes ${only}` }
}

export class Person {
  /** What this browser complained about. */
  readonly complaints: string[] = []
  private readonly expected: RegExp[] = []

  private constructor(
    readonly page: Page,
    readonly account: Account,
  ) {}

  static async at(browser: Browser, account: Account, options: BrowserContextOptions = {}): Promise<Person> {
    const context = await browser.newContext({ baseURL: stack().url, viewport: { width: 1440, height: 900 }, ...options })
    const page = await context.newPage()
    page.setDefaultTimeout(20_000)
    const person = new Person(page, account)
    await page.exposeBinding('complain', (_, text: string) => void person.complaints.push(text))
    await page.addInitScript(() => {
      addEventListener('securitypolicyviolation', (e) => {
        const { complain } = window as unknown as { complain(text: string): void }
        complain(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`)
      })
    })
    page.on('pageerror', (err) => person.complaints.push(`error: ${err.stack ?? err.message}`))
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') person.complaints.push(`${message.type()}: ${message.text()} ${message.location().url}`)
    })
    return person
  }

  /** From now on the browser may say this: it reports failed requests that the test is about. */
  mayComplain(what: RegExp): void {
    this.expected.push(what)
  }

  expectNoComplaints(): void {
    const unexpected = this.complaints.filter((text) => !this.expected.some((pattern) => pattern.test(text)))
    expect(unexpected, `${this.account.name}'s browser`).toEqual([])
  }

  async signsIn(): Promise<void> {
    await this.page.goto('/sign-in')
    await this.signsInHere()
  }

  /** On the sign-in page that is open. */
  async signsInHere(): Promise<void> {
    const { page, account } = this
    await page.getByLabel('E-mail').fill(account.email)
    await page.getByLabel('Password', { exact: true }).fill(account.password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await this.isIn()
  }

  async signsUp(): Promise<void> {
    await this.page.goto('/sign-up')
    await this.signsUpHere()
  }

  /** On the sign-up page that is open. */
  async signsUpHere(): Promise<void> {
    const { page, account } = this
    await page.getByLabel('E-mail').fill(account.email)
    await page.getByLabel('Your name').fill(account.name)
    await page.getByLabel('Password', { exact: true }).fill(account.password)
    await page.getByRole('button', { name: 'Create account' }).click()
    await this.isIn()
  }

  async isIn(): Promise<void> {
    await this.page.getByRole('heading', { level: 1 }).filter({ hasNotText: 'Sign in' }).first().waitFor()
    await this.page.locator('section[aria-label="List of notes"]').waitFor()
  }

  get title(): Locator {
    return this.page.getByRole('textbox', { name: 'Title', exact: true })
  }

  get body(): Locator {
    return this.page.getByRole('textbox', { name: 'Text of the note' })
  }

  row(title: string): Locator {
    return this.page.locator('[data-list-item]').filter({ hasText: title })
  }

  async writes(title: string, body: string): Promise<void> {
    await this.page.keyboard.press('Escape')
    await this.page.getByRole('button', { name: 'New note' }).first().click()
    await this.title.fill(title)
    await this.body.click()
    await this.page.keyboard.insertText(body)
    await this.sees('Saved')
    await this.page.waitForURL(/\/n\/[0-9a-f]{8}-/)
  }

  /** Waits for the words of the save state. */
  async sees(words: 'Saved' | 'Saving…' | 'On this device, not sent yet' | 'Not accepted: copy it'): Promise<void> {
    await this.page.locator('[data-test=save-state]').filter({ hasText: words }).waitFor()
  }

  async opens(title: string): Promise<void> {
    await this.row(title).click()
    await this.title.and(this.page.locator(`textarea`)).waitFor()
    await eventually(async () => expect(await this.title.inputValue()).toBe(title))
  }

  /** The text in the editor as it is written. */
  async text(): Promise<string> {
    return this.body.evaluate((content) =>
      [...content.querySelectorAll('.cm-line')]
        .map((line) => {
          const copy = line.cloneNode(true) as Element
          copy.querySelector('.nw-remote-name')?.remove()
          return copy.textContent
        })
        .join('\n'),
    )
  }

  /** Puts the cursor behind some words of the editor. */
  async cursorAfter(words: string): Promise<void> {
    await this.body.evaluate((content, wanted) => {
      const walker = document.createTreeWalker(content, NodeFilter.SHOW_TEXT)
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const at = node.textContent!.indexOf(wanted)
        if (at < 0) continue
        ;(content as HTMLElement).focus({ preventScroll: true })
        getSelection()!.collapse(node, at + wanted.length)
        return
      }
      throw new Error(`no ${wanted} in the text`)
    }, words)
  }

  async types(text: string): Promise<void> {
    await this.page.keyboard.insertText(text)
  }

  async shares(with_: Account, role: 'can view' | 'can comment' | 'can edit'): Promise<void> {
    const { page } = this
    await page.getByRole('button', { name: 'Share', exact: true }).first().click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('combobox', { name: 'Name or e-mail' }).fill(with_.email)
    await dialog.getByLabel('May', { exact: true }).selectOption({ label: role })
    await dialog.getByRole('option', { name: with_.name }).waitFor()
    await dialog.getByRole('button', { name: 'Share', exact: true }).click()
    await dialog.locator('[data-test=share]').filter({ hasText: with_.name }).waitFor()
  }

  async closesDialog(): Promise<void> {
    await this.page.keyboard.press('Escape')
    await this.page.getByRole('dialog').waitFor({ state: 'detached' })
  }

  async screenshot(name: string): Promise<void> {
    await mkdir(screenshots, { recursive: true })
    await this.page.screenshot({ path: resolve(screenshots, `${name}.png`) })
  }

  /** Nothing serious for people who see, hear or move differently. */
  async expectAccessible(where: string): Promise<void> {
    const { violations } = await new AxeBuilder({ page: this.page as never }).withTags(['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze()
    const serious = violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html.slice(0, 160)} ${node.failureSummary ?? ''}`).join('\n')}`)
    expect(serious, where).toEqual([])
  }

  async expectAccessibleInLightAndDark(where: string): Promise<void> {
    for (const colorScheme of ['light', 'dark'] as const) {
      await this.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await this.screenshot(`${where}-${colorScheme}`)
      await this.expectAccessible(`${where}, ${colorScheme}`)
    }
  }

  async leaves(): Promise<void> {
    await this.page.context().close()
  }
}

/** Two browsers for a file of tests. Whoever sat down at one must have nothing to complain about when the test ends. */
export function twoBrowsers() {
  let browsers: Browser[]
  let people: Person[] = []

  beforeAll(async () => {
    browsers = await Promise.all([launch(), launch()])
  })
  afterAll(() => Promise.all(browsers.map((browser) => browser.close())))
  afterEach(async () => {
    const here = people
    people = []
    try {
      for (const person of here) person.expectNoComplaints()
    } finally {
      await Promise.all(here.map((person) => person.leaves()))
    }
  })

  async function at(browser: 0 | 1, account: Account, options?: BrowserContextOptions): Promise<Person> {
    const person = await Person.at(browsers[browser]!, account, options)
    people.push(person)
    return person
  }

  async function signedUp(browser: 0 | 1, name: string): Promise<Person> {
    const person = await at(browser, newAccount(name))
    await person.signsUp()
    return person
  }

  return { at, signedUp }
}

/** Asks again until it holds, as long as a person would wait. */
export async function eventually(check: () => Promise<void>, within = 20_000): Promise<void> {
  await expect.poll(async () => check().then(() => 'ok', (err: unknown) => String(err)), { timeout: within, interval: 50 }).toBe('ok')
}
