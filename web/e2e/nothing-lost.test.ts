import type { Route } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { eventually, type Person, twoBrowsers } from './world'

const { signedUp } = twoBrowsers()

async function sharedNote(body: string) {
  const [ann, ben] = await Promise.all([signedUp(0, 'Ann'), signedUp(1, 'Ben')])
  await ann.writes('Together', body)
  await ann.shares(ben.account, 'can edit')
  await ann.closesDialog()
  await ben.opens('Together')
  await ben.body.waitFor()
  return { ann, ben }
}

const offline = async (person: Person, yes: boolean) => {
  person.mayComplain(/ERR_INTERNET_DISCONNECTED|ERR_NETWORK|WebSocket connection/)
  await person.page.context().setOffline(yes)
}

describe('no text is lost', () => {
  it('when two people edit different lines while one is offline: both edits count, nobody is asked', async () => {
    const { ann, ben } = await sharedNote('one\ntwo\nthree')
    await offline(ben, true)
    await ben.page.locator('[data-test=network-banner]').waitFor()
    await ben.cursorAfter('three')
    await ben.types(', by Ben')
    await ben.sees('On this device, not sent yet')
    await ann.cursorAfter('one')
    await ann.types(', by Ann')
    await ann.sees('Saved')
    ben.mayComplain(/status of 412/)
    await offline(ben, false)
    await ben.sees('Saved')
    const both = 'one, by Ann\ntwo\nthree, by Ben'
    await eventually(async () => expect(await ben.text()).toBe(both))
    await eventually(async () => expect(await ann.text()).toBe(both))
    expect(await ben.page.locator('[data-test=conflict]').count()).toBe(0)
  })

  it('when they changed the same words: both versions stand side by side, and the proposal has both', async () => {
    const { ann, ben } = await sharedNote('one\ntwo\nthree')
    await offline(ben, true)
    await ben.cursorAfter('two')
    await ben.types(' as Ben has it')
    await ben.sees('On this device, not sent yet')
    await ann.cursorAfter('two')
    await ann.types(' as Ann has it')
    await ann.sees('Saved')
    ben.mayComplain(/status of 412/)
    await offline(ben, false)

    await ben.page.locator('[data-test=conflict]').waitFor()
    expect(await ben.page.locator('[data-test=conflict-theirs]').innerText()).toContain('two as Ann has it')
    expect(await ben.page.locator('[data-test=conflict-mine]').innerText()).toContain('two as Ben has it')
    const proposal = await ben.page.locator('[data-test=conflict-proposal]').inputValue()
    expect(proposal).toBe('one\ntwo as Ann has it\ntwo as Ben has it\nthree')
    await ben.expectAccessibleInLightAndDark('two-versions')
    await ben.page.getByRole('button', { name: 'Use the proposal' }).click()
    await ben.sees('Saved')
    await eventually(async () => expect(await ann.text()).toBe(proposal))
  })

  it('when they changed the same words and one keeps the other version: the own one becomes a note', async () => {
    const { ann, ben } = await sharedNote('one')
    await offline(ben, true)
    await ben.cursorAfter('one')
    await ben.types(' mine')
    await ben.sees('On this device, not sent yet')
    await ann.cursorAfter('one')
    await ann.types(' theirs')
    await ann.sees('Saved')
    ben.mayComplain(/status of 412/)
    await offline(ben, false)
    await ben.page.locator('[data-test=conflict]').waitFor()
    await ben.page.getByRole('button', { name: 'Keep theirs' }).click()
    await eventually(async () => expect(await ben.text()).toBe('one theirs'))
    await ben.opens('Together (my version)')
    await eventually(async () => expect(await ben.text()).toBe('one mine'))
  })

  it('when both write at once, each in a line of their own: every character arrives at both', async () => {
    const { ann, ben } = await sharedNote('Ann: \n\nSome words between them.\n\nBen: ')
    for (const person of [ann, ben]) person.mayComplain(/status of 412/)
    const words = (name: string) => Array.from({ length: 30 }, (_, i) => `${name}${i}`).join(' ')
    await ann.cursorAfter('Ann: ')
    await ben.cursorAfter('Ben: ')
    await Promise.all([ann, ben].map((person, i) => person.page.keyboard.type(words('ab'[i]!), { delay: 40 })))
    const all = `Ann: ${words('a')}\n\nSome words between them.\n\nBen: ${words('b')}`
    await eventually(async () => expect(await ann.text()).toBe(all))
    await eventually(async () => expect(await ben.text()).toBe(all))
    await Promise.all([ann.sees('Saved'), ben.sees('Saved')])
  })

  it('when the answer to a save is late: the stale edit is merged', async () => {
    const { ann, ben } = await sharedNote('one\ntwo')
    ben.mayComplain(/status of 412/)
    let late: (() => void) | undefined
    const held = new Promise<void>((go) => (late = go))
    const hold = async (route: Route) => {
      if (route.request().method() === 'PATCH') await held
      await route.continue()
    }
    await ben.page.route('**/api/v1/notes/*', hold)
    await ben.cursorAfter('two')
    await ben.types(' by Ben')
    await ben.sees('Saving…')
    await ann.cursorAfter('one')
    await ann.types(' by Ann')
    await ann.sees('Saved')
    late!()
    await eventually(async () => expect(await ben.text()).toBe('one by Ann\ntwo by Ben'))
    await eventually(async () => expect(await ann.text()).toBe('one by Ann\ntwo by Ben'))
    await ben.page.unroute('**/api/v1/notes/*', hold)
  })

  it('when the page goes away while offline: the draft waits on the device and is sent next time', async () => {
    const ann = await signedUp(0, 'Ann')
    await ann.writes('Kept', 'Sent words.')
    await offline(ann, true)
    await ann.cursorAfter('Sent words.')
    await ann.types(' Unsent words.')
    await ann.sees('On this device, not sent yet')
    ann.page.on('dialog', (dialog) => void dialog.accept())
    const second = await ann.page.context().newPage()
    await ann.page.close({ runBeforeUnload: false })
    await ann.page.context().setOffline(false)
    await second.goto('/')
    await second.locator('[data-list-item]').filter({ hasText: 'Kept' }).click()
    await eventually(async () => expect(await second.locator('.cm-content').innerText()).toContain('Sent words. Unsent words.'))
    await second.locator('[data-test=save-state]').filter({ hasText: 'Saved' }).waitFor()
    await second.getByText('not sent yet').waitFor({ state: 'detached' })
  })

  it('when the page is loaded again without a network: it starts, says what is the matter, and goes on by itself', async () => {
    const ann = await signedUp(0, 'Ann')
    ann.mayComplain(/status of 412/) // a save may have been under way when the network went
    await ann.page.evaluate(() => navigator.serviceWorker.ready)
    await ann.page.reload()
    await ann.isIn()
    await ann.writes('Tunnel', 'Before.')
    await offline(ann, true)
    await ann.cursorAfter('Before.')
    await ann.types(' Inside.')
    await ann.sees('On this device, not sent yet')
    ann.page.once('dialog', (dialog) => void dialog.accept())
    await ann.page.reload()
    await ann.page.getByText('Noteworks can not be reached').waitFor()
    await ann.page.getByText('Your text is safe').waitFor()
    await offline(ann, false)
    await eventually(async () => expect(await ann.text()).toBe('Before. Inside.'))
    await ann.sees('Saved')
  })

  it('when a note is written offline: it is created once the network is back', async () => {
    const ann = await signedUp(0, 'Ann')
    await ann.page.getByText('No notes yet.').waitFor()
    await ann.page.getByRole('button', { name: 'New note' }).first().click()
    await ann.body.waitFor()
    await offline(ann, true)
    await ann.title.fill('From the train')
    await ann.body.click()
    await ann.types('Written in a tunnel.')
    await ann.sees('On this device, not sent yet')
    await offline(ann, false)
    await ann.sees('Saved')
    await ann.row('From the train').waitFor()
    await ann.page.waitForURL(/\/n\/[0-9a-f]{8}-/)
  })

  it('when the server refuses it: the text stays, with a way out', async () => {
    const ann = await signedUp(0, 'Ann')
    await ann.writes('Refused', 'Words.')
    ann.mayComplain(/status of 422/)
    await ann.page.route('**/api/v1/notes/*', (route) =>
      route.request().method() === 'PATCH'
        ? route.fulfill({
            status: 422,
            contentType: 'application/problem+json',
            body: JSON.stringify({ type: 'about:blank', title: 'no', status: 422, code: 'refused', detail: 'Not like this.', traceId: 'abc123' }),
          })
        : route.continue(),
    )
    await ann.cursorAfter('Words.')
    await ann.types(' More.')
    await ann.sees('Not accepted: copy it')
    await ann.page.getByText('Not like this.').waitFor()
    await ann.page.getByText('trace abc123').waitFor()
    await ann.expectAccessibleInLightAndDark('refused')
    await ann.page.getByRole('button', { name: 'Keep as a new note' }).click()
    await eventually(async () => expect(await ann.title.inputValue()).toBe('Refused (my version)'))
    await eventually(async () => expect(await ann.text()).toBe('Words. More.'))
  })
})
