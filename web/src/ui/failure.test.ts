import { describe, expect, it } from 'vitest'
import { ApiError } from '@/api/problem'
import { explanationOf } from './failure'

const told = (status: number, code: string) => explanationOf(new ApiError(status, code, '', 't'))

describe('a failure', () => {
  it.each([
    [503, 'workspace-suspended', 'suspended'],
    [503, 'upstream-unavailable', 'unavailable'],
    [429, 'requests-limit-reached', 'requestsLimit'],
    [429, 'too-many-attempts', 'tooMany'],
    [403, 'notes-limit-reached', 'notesLimit'],
    [403, 'storage-limit-reached', 'storageLimit'],
    [403, 'members-limit-reached', 'membersLimit'],
    [403, 'not-the-owner', 'forbidden'],
    [0, 'unreachable', 'unreachable'],
    [400, 'title-too-long', ''],
  ])('%i %s is explained by "%s"', (status, code, words) => expect(told(status, code)).toBe(words))
})
