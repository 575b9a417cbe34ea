import { describe, expect, it } from 'vitest'
import { invitationIn, invitationLink } from './invitation'

describe("an invitation's link", () => {
  it('carries its code where no server sees it', () => {
    const link = new URL(invitationLink('a-b_c~1', 'https://team.example'))
    expect(link.pathname + link.search).toBe('/sign-up')
    expect(invitationIn(link.hash)).toBe('a-b_c~1')
  })

  it('is not taken for one without a code', () => {
    for (const hash of ['', '#', '#invitation', '#invitation=', '#note', '#code=x']) expect(invitationIn(hash), hash).toBe('')
  })
})
