import type { Route } from 'playwright-core'
import { describe, expect, it } from 'vitest'
import { eventually, newAccount, stack, twoBrowsers } from './world'

const { at, signedUp } = twoBrowsers()

describe('signing in and out', () => {
  it('says what is wrong, and nothing of who exists', async () => {
    const ann = await at(0, newAccount('Ann'))
    ann.mayComplain(/status of 401/)
    await ann.page.goto('/sign-in')
    await ann.page.getByLabel('E-mail').fill(ann.account.email)
    await ann.page.getByLabel('Password', { exact: true }).fill('not the password')
    await ann.page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await ann.page.getByText('do not belong together').waitFor()
  })

  it('leads back to where one wanted to go', async () => {
    const ann = await signedUp(0, 'Ann')
    await ann.writes('Deep link', 'x')
    const { pathname } = new URL(ann.page.url())
    await ann.page.getByRole('button', { name: /Your account/ }).click()
    await ann.page.getByRole('menuitem', { name: 'Sign out' }).click()
    await ann.page.getByText('You are signed out.').waitFor()
    await ann.page.goto(pathname)
    await ann.signsInHere()
    await eventually(async () => expect(await ann.title.inputValue()).toBe('Deep link'))
  })

  it('survives a reload and reaches every tab', async () => {
    const ann = await signedUp(0, 'Ann')
    await ann.page.reload()
    await ann.isIn()
    const second = await ann.page.context().newPage()
    await second.goto('/')
    await second.locator('section[aria-label="List of notes"]').waitFor()
    await ann.page.getByRole('button', { name: /Your account/ }).click()
    await ann.page.getByRole('menuitem', { name: 'Sign out' }).click()
    await second.getByText('You are signed out.').waitFor()
  })

  it('keeps no token where scripts of tomorrow could find it', async () => {
    const ann = await signedUp(0, 'Ann')
    const kept = await ann.page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie + location.href)
    expect(kept).not.toMatch(/eyJ|nw_refresh/)
  })
})

describe('the owner', () => {
  it('keeps a person out, who is signed out at once and whose text stays', async () => {
    const owner = await at(0, { name: 'owner', ...stack().owner })
    const ben = await signedUp(1, 'Ben')
    await ben.writes('Mine', 'Words.')
    ben.mayComplain(/status of 503/)
    const away = (route: Route) => (route.request().method() === 'PATCH' ? route.fulfill({ status: 503 }) : route.continue())
    await ben.page.route('**/api/v1/notes/*', away)
    await ben.cursorAfter('Words.')
    await ben.types(' Unsent.')
    await ben.sees('On this device, not sent yet')
    await owner.signsIn()
    await owner.page.goto('/people')
    await owner.page.getByText(ben.account.email).waitFor()
    await owner.expectAccessibleInLightAndDark('people')
    await owner.page.getByRole('searchbox').fill(ben.account.email)
    await owner.page.getByRole('button', { name: `What to do with ${ben.account.name}` }).click()
    await owner.page.getByRole('menuitem', { name: 'Keep out' }).click()
    ben.mayComplain(/status of 401|WebSocket/)
    await owner.page.getByRole('dialog').getByRole('button', { name: 'Keep out' }).click()
    const since = Date.now()
    await ben.page.getByText('Your session has ended.').waitFor()
    expect(Date.now() - since).toBeLessThan(1_500)
    await ben.page.getByText('One unsent note stays on this device').waitFor()
    await ben.page.unroute('**/api/v1/notes/*', away)
    await owner.page.getByRole('button', { name: `What to do with ${ben.account.name}` }).click()
    await owner.page.getByRole('menuitem', { name: 'Let in again' }).click()
    await owner.page.getByText('may sign in again').first().waitFor()
    await ben.signsInHere()
    await eventually(async () => expect(await ben.text()).toBe('Words. Unsent.'))
    await ben.sees('Saved')
  })

  it('is the only one who sees the people page', async () => {
    const ann = await signedUp(0, 'Ann')
    await ann.page.goto('/people')
    await ann.page.getByText('Only the owner of the workspace sees this page.').waitFor()
  })
})

describe('a profile', () => {
  it('changes name and password', async () => {
    const ann = await signedUp(0, 'Ann')
    await ann.page.goto('/settings')
    await ann.page.getByLabel('Name', { exact: true }).fill('Anna Maria')
    await ann.page.getByRole('button', { name: 'Save name' }).click()
    await ann.page.getByRole('button', { name: 'Your account: Anna Maria' }).waitFor()
    ann.mayComplain(/status of 4\d\d/)
    await ann.page.getByLabel('Current password').fill('wrong password')
    await ann.page.getByLabel('New password').fill('a brand new password')
    await ann.page.getByRole('button', { name: 'Change password' }).click()
    await ann.page.getByRole('alert').waitFor()
    await ann.page.getByLabel('Current password').fill(ann.account.password)
    await ann.page.getByRole('button', { name: 'Change password' }).click()
    await ann.page.getByText('Your password is changed').first().waitFor()
    await ann.page.reload()
    await ann.page.getByRole('button', { name: 'Your account: Anna Maria' }).waitFor()
  })
})

describe('an address without a workspace', () => {
  it('says so', async () => {
    const ann = await at(0, newAccount('Ann'))
    ann.mayComplain(/status of 404/)
    const { port } = new URL(stack().url)
    await ann.page.goto(`http://nobody-lives-here.localhost:${port}/`)
    await eventually(async () => expect(await ann.page.locator('body').innerText()).toMatch(/no workspace/i))
  })
})
