import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Send } from './http'
import { ApiError, unreachable } from './problem'
import { SessionKeeper } from './session'

const user = { id: 'u', email: 'u@example.org', name: 'U', role: 'member', active: true, createdAt: '' }

function server() {
  let issued = 0
  let failure: ApiError | undefined
  const send = vi.fn(async () => {
    await Promise.resolve()
    if (failure) throw failure
    return { user, accessToken: `token-${++issued}`, expiresIn: 300 }
  })
  return { send, fail: (err?: ApiError) => (failure = err) }
}

const keeperOf = (s: ReturnType<typeof server>) => new SessionKeeper(s.send as unknown as Send)

async function signedIn(s: ReturnType<typeof server>) {
  const keeper = keeperOf(s)
  await keeper.signIn({ email: 'a', password: 'b' })
  return keeper
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('the access token', () => {
  it('is fetched once for all who ask', async () => {
    const s = server()
    const keeper = await signedIn(s)
    expect(await Promise.all([keeper.renew('token-1'), keeper.renew('token-1')])).toEqual(['token-2', 'token-2'])
    expect(s.send).toHaveBeenCalledTimes(2)
  })

  it('is renewed before it ends, and everyone is told', async () => {
    const s = server()
    const keeper = keeperOf(s)
    const renewed = vi.fn()
    keeper.subscribe({ renewed, ended: () => undefined })
    await keeper.signIn({ email: 'a', password: 'b' })
    await vi.advanceTimersByTimeAsync(271_000)
    expect(renewed.mock.calls).toEqual([['token-1'], ['token-2']])
    expect(await keeper.token()).toBe('token-2')
  })

  it('is not renewed again when somebody else did it already', async () => {
    const s = server()
    const keeper = await signedIn(s)
    expect(await keeper.renew('an older one')).toBe('token-1')
  })

  it('ends when the cookie is refused', async () => {
    const s = server()
    const keeper = keeperOf(s)
    const ended = vi.fn()
    keeper.subscribe({ renewed: () => undefined, ended })
    s.fail(new ApiError(401, 'invalid-session', '', 't'))
    await expect(keeper.restore()).rejects.toMatchObject({ code: 'session-ended' })
    expect(ended).toHaveBeenCalledOnce()
  })

  it('does not end because the server is away', async () => {
    const s = server()
    const keeper = keeperOf(s)
    const ended = vi.fn()
    keeper.subscribe({ renewed: () => undefined, ended })
    s.fail(unreachable('t'))
    await expect(keeper.restore()).rejects.toMatchObject({ code: 'unreachable' })
    s.fail(undefined)
    expect(await keeper.token()).toBe('token-1')
    expect(ended).not.toHaveBeenCalled()
  })

  it('is not asked for when nobody is signed in', async () => {
    const s = server()
    const keeper = await signedIn(s)
    await keeper.signOut()
    s.send.mockClear()
    await expect(keeper.token()).rejects.toMatchObject({ code: 'session-ended' })
    await expect(keeper.renew('token-1')).rejects.toMatchObject({ code: 'session-ended' })
    expect(s.send).not.toHaveBeenCalled()
  })

  it('stays when signing out did not reach the server', async () => {
    const s = server()
    const keeper = await signedIn(s)
    s.fail(unreachable('t'))
    await expect(keeper.signOut()).rejects.toMatchObject({ code: 'unreachable' })
    expect(await keeper.token()).toBe('token-1')
  })
})
