import { describe, expect, it } from 'vitest'
import { eventually, stack, twoBrowsers } from './world'

const { at, signedUp } = twoBrowsers()

/** Two people who have signed up, each at a browser of their own. */
async function two() {
  const [ann, ben] = await Promise.all([signedUp(0, 'Ann'), signedUp(1, 'Ben')])
  return { ann, ben }
}

describe('the main job', () => {
  it('the owner writes and shares a note, someone who just signed up sees it live, and both edit it', async () => {
    const owner = await at(0, { name: 'owner', ...stack().owner })
    await owner.signsIn()
    const ben = await signedUp(1, 'Ben')
    await ben.page.getByText('No notes yet.').waitFor()

    const title = `Launch plan ${Date.now()}`
    await owner.writes(title, 'First line.\n\nSecond line.')
    const begin = Date.now()
    await owner.shares(ben.account, 'can edit')
    await ben.row(title).getByText('New since you last looked').waitFor()
    expect(Date.now() - begin).toBeLessThan(5_000)
    await ben.page.getByText(/shared “Launch plan/).first().waitFor()
    await owner.closesDialog()

    await ben.opens(title)
    await ben.cursorAfter('Second line.')
    await ben.types(' By Ben.')
    await eventually(async () => expect(await owner.text()).toBe('First line.\n\nSecond line. By Ben.'))
    await owner.page.locator('.nw-remote-name > span', { hasText: ben.account.name }).waitFor()
    await owner.screenshot('remote-change')

    await owner.cursorAfter('First line.')
    await owner.types(' By the owner.')
    await eventually(async () => expect(await ben.text()).toBe('First line. By the owner.\n\nSecond line. By Ben.'))

    await owner.title.fill(`${title}, renamed`)
    await eventually(async () => expect(await ben.title.inputValue()).toBe(`${title}, renamed`))
    await ben.row(`${title}, renamed`).waitFor()
    await Promise.all([owner.sees('Saved'), ben.sees('Saved')])
  })

  it('a share that is taken away is gone within a second', async () => {
    const { ann, ben } = await two()
    await ann.writes('For a while', 'Secret words.')
    await ann.shares(ben.account, 'can view')
    await ben.row('For a while').click()
    await ben.page.getByText('Secret words.').waitFor()
    await ben.page.getByText('You can view this note.').waitFor()

    await ann.page.getByRole('button', { name: `Remove ${ben.account.name}` }).click()
    await ann.page.getByText(`${ben.account.name} can not see this note any more`).first().waitFor()
    const since = Date.now()
    await ben.page.getByText('You can not see this note any more.').first().waitFor()
    await ben.row('For a while').waitFor({ state: 'detached' })
    expect(Date.now() - since).toBeLessThan(1_000)
    expect(await ben.page.getByText('Secret words.').count()).toBe(0)
  })

  it('the cursor and the scroll position stay where they were when others write above', async () => {
    const { ann, ben } = await two()
    const lines = Array.from({ length: 120 }, (_, i) => `Line ${i}.`)
    await ann.writes('Long', lines.join('\n'))
    await ann.shares(ben.account, 'can edit')
    await ann.closesDialog()
    await ben.opens('Long')
    const scroller = ben.page.locator('[data-test=note-scroll]')
    await ben.body.waitFor()
    await scroller.evaluate((element) => (element.scrollTop = 1_500))
    const visible = () =>
      ben.body.evaluate((content) => {
        const line = [...content.querySelectorAll('.cm-line')].find((l) => l.getBoundingClientRect().top > 300)!
        return { text: line.textContent!, top: Math.round(line.getBoundingClientRect().top) }
      })
    await eventually(async () => expect((await visible()).text).toMatch(/^Line [4-9]\d/))
    const { text } = await visible()
    await ben.cursorAfter(text)
    const before = await visible()

    await ann.body.click()
    await ann.page.keyboard.press('ControlOrMeta+Home')
    await ann.page.keyboard.press('End')
    await ann.types('\nWritten above.\nAnd more.')
    await eventually(async () => {
      const all = await ben.page.evaluate(() => document.querySelector('[data-list-item][aria-current]')?.textContent)
      expect(all).toContain('Line 0. Written above.')
    })
    const after = await visible()
    expect(after.text).toBe(before.text)
    expect(Math.abs(after.top - before.top)).toBeLessThanOrEqual(2)
    await ben.types(' Mine.')
    await ben.sees('Saved')
    await eventually(async () => expect(await ben.text()).toContain(`${text} Mine.`))
  })

  it('pins, archives, tags, trashes and restores', async () => {
    const ann = await signedUp(0, 'Ann')
    await ann.writes('Tidy me', 'Words.')
    const menu = async (item: string) => {
      await ann.page.getByRole('button', { name: 'More about this note' }).click()
      await ann.page.getByRole('menuitem', { name: item, exact: true }).click()
    }
    const rail = (name: string) => ann.page.getByRole('navigation', { name: 'Notes' }).getByRole('link', { name }).first().click()

    await ann.page.getByRole('button', { name: 'Add a tag' }).click()
    await ann.page.getByRole('combobox', { name: 'Add a tag' }).or(ann.page.getByLabel('Add a tag')).first().fill('garden')
    await ann.page.keyboard.press('Enter')
    await ann.page.keyboard.press('Escape')
    await rail('garden')
    await ann.row('Tidy me').click()

    await menu('Pin')
    await rail('Pinned')
    await ann.row('Tidy me').click()
    await menu('Archive')
    await rail('All notes')
    await ann.page.getByText('No notes yet.').waitFor()
    await rail('Archive')
    await ann.row('Tidy me').click()
    await menu('Take out of the archive')
    await menu('Move to trash')
    await rail('Trash')
    await ann.row('Tidy me').click()
    await ann.page.getByText('This note is in the trash.').waitFor()
    await ann.expectAccessibleInLightAndDark('trash')
    await ann.page.getByRole('button', { name: 'Restore' }).click()
    await ann.title.waitFor()
    await menu('Move to trash')
    await rail('Trash')
    await ann.row('Tidy me').click()
    await ann.page.getByRole('button', { name: 'Delete for good' }).click()
    await ann.page.getByRole('dialog').getByRole('button', { name: 'Delete for good' }).click()
    await ann.page.getByText('The trash is empty.').waitFor()
  })

  it('finds notes while typing, and marks what was found', async () => {
    const ann = await signedUp(0, 'Ann')
    await ann.writes('Herbs', 'Rosemary and thyme.')
    await ann.writes('季度回顾', '我们比计划提前两周完成了迁移。')
    const find = async (q: string, title: string, mark: string) => {
      await ann.page.keyboard.press('ControlOrMeta+k')
      await ann.page.getByRole('combobox', { name: 'Search and commands' }).fill(q)
      const hit = ann.page.getByRole('option').filter({ hasText: title })
      await hit.locator('mark', { hasText: mark }).first().waitFor()
      await ann.page.keyboard.press('Enter')
      await eventually(async () => expect(await ann.title.inputValue()).toBe(title))
    }
    await find('thyme', 'Herbs', 'thyme')
    await find('度回', '季度回顾', '度回')
  })

  it('brings an earlier version back', async () => {
    const ann = await signedUp(0, 'Ann')
    await ann.writes('Versions', 'The first words.')
    await ann.body.click()
    await ann.page.keyboard.press('ControlOrMeta+a')
    await ann.types('Something else.')
    await ann.sees('Saved')
    await ann.page.getByRole('button', { name: 'Outline, history and access' }).click()
    await ann.page.getByRole('tab', { name: 'History' }).click()
    const versions = ann.page.getByRole('tabpanel').getByRole('listitem')
    await eventually(async () => expect(await versions.count()).toBeGreaterThan(1))
    await versions.nth(1).getByRole('button').click()
    await ann.page.getByRole('tabpanel').getByText('The first words.').waitFor()
    await ann.page.getByRole('button', { name: 'Make it the current version' }).click()
    await eventually(async () => expect(await ann.text()).toBe('The first words.'))
  })
})
