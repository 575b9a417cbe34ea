import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Workspace } from './gen/user'
import type { Send } from './http'
import { ApiError, unreachable } from './problem'
import { Suspension } from './suspension'

const suspended = new ApiError(503, 'workspace-suspended', '', 't', undefined, undefined, 60_000)
const workspace = (suspended?: boolean): Workspace => ({ id: 'w', slug: 's', title: 'T', signUp: 'open', suspended })

function world() {
  const ask = vi.fn<() => Promise<Workspace>>(() => Promise.resolve(workspace(true)))
  const suspension = new Suspension(ask, () => 0.5)
  const heard: boolean[] = []
  suspension.listen((on) => heard.push(on))
  return { ask, suspension, heard }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a suspension', () => {
  it('is seen in any answer, which still fails', async () => {
    const { suspension, heard } = world()
    const send = suspension.watching((() => Promise.reject(suspended)) as Send)
    await expect(send('/a')).rejects.toBe(suspended)
    await expect(send('/b')).rejects.toBe(suspended)
    expect(heard).toEqual([true])
  })

  it('is not seen in other failures', async () => {
    const { suspension, ask } = world()
    const send = suspension.watching((() => Promise.reject(unreachable('t'))) as Send)
    await expect(send('/a')).rejects.toMatchObject({ status: 0 })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(suspension.on).toBe(false)
    expect(ask).not.toHaveBeenCalled()
  })

  it('ends by itself when the workspace is back', async () => {
    const { suspension, ask, heard } = world()
    suspension.begin()
    await vi.advanceTimersByTimeAsync(31_000)
    expect(ask).toHaveBeenCalledTimes(2)
    ask.mockRejectedValueOnce(unreachable('t'))
    await vi.advanceTimersByTimeAsync(15_000)
    expect(suspension.on).toBe(true)
    ask.mockResolvedValue(workspace())
    await vi.advanceTimersByTimeAsync(15_000)
    expect(heard).toEqual([true, false])
    await vi.advanceTimersByTimeAsync(120_000)
    expect(ask).toHaveBeenCalledTimes(4)
  })

  it('is found by looking', async () => {
    const { suspension, heard } = world()
    await suspension.look()
    expect(heard).toEqual([true])
  })

  it('is not ended by an answer from before it', async () => {
    const { suspension, ask } = world()
    let answer: (workspace: Workspace) => void = () => undefined
    ask.mockReturnValueOnce(new Promise((resolve) => (answer = resolve)))
    const looking = suspension.look()
    suspension.begin()
    answer(workspace(false))
    await looking
    expect(suspension.on).toBe(true)
    ask.mockResolvedValue(workspace(false))
    await vi.advanceTimersByTimeAsync(15_000)
    expect(suspension.on).toBe(false)
  })
})
