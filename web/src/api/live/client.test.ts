import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { backoff } from './backoff'
import { LiveClient, type LiveOptions } from './client'
import { eventOf, frameOf } from './events'

/** The browser's end of a socket whose other end the test plays. */
class Socket {
  sent: unknown[] = []
  closed = false
  onopen?: (event: Event) => void
  onmessage?: (event: MessageEvent) => void
  onclose?: (event: CloseEvent) => void

  send(text: string) {
    this.sent.push(JSON.parse(text))
  }
  close() {
    this.closed = true
  }
  async opens() {
    this.onopen?.(new Event('open'))
    await Promise.resolve()
    await Promise.resolve()
  }
  says(frame: unknown) {
    this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) } as MessageEvent)
  }
  breaks() {
    this.onclose?.({} as CloseEvent)
  }
}

function world() {
  const sockets: Socket[] = []
  const heard: string[] = []
  const options = {
    url: 'ws://x/api/v1/live',
    token: vi.fn((refused?: string) => Promise.resolve(refused ? `${refused}, renewed` : 'token')),
    event: vi.fn((event) => heard.push(event.id)),
    resync: vi.fn(() => heard.push('resync')),
    state: vi.fn(),
    ended: vi.fn(),
    suspended: vi.fn(),
    open: () => {
      const socket = new Socket()
      sockets.push(socket)
      return socket as unknown as WebSocket
    },
    random: () => 1,
  } satisfies LiveOptions
  const client = new LiveClient(options)
  const last = () => sockets.at(-1)!
  const live = async (cursor = '10') => {
    client.start()
    await last().opens()
    last().says({ type: 'ready', cursor })
  }
  return { client, options, sockets, last, heard, live }
}

const event = (id: string, cursor: string, name = 'note.v1.NoteTrashed') => ({ type: 'event', event: name, id, cursor, data: { noteId: 'n' } })

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('the live socket', () => {
  it('authenticates first and fetches again what was read before it was ready', async () => {
    const w = world()
    await w.live()
    expect(w.last().sent).toEqual([{ type: 'auth', token: 'token' }])
    expect(w.heard).toEqual(['resync'])
    expect(w.options.state).toHaveBeenLastCalledWith('live')
  })

  it('resumes behind the last event, without fetching anything again', async () => {
    const w = world()
    await w.live()
    w.last().says(event('a', '11'))
    w.last().breaks()
    await vi.advanceTimersByTimeAsync(500)
    await w.last().opens()
    expect(w.last().sent).toEqual([{ type: 'auth', token: 'token', since: '11' }])
    w.last().says({ type: 'ready', cursor: '15' })
    w.last().says(event('b', '12'))
    w.last().breaks()
    await vi.advanceTimersByTimeAsync(500)
    await w.last().opens()
    expect(w.last().sent).toEqual([{ type: 'auth', token: 'token', since: '12' }])
    expect(w.heard).toEqual(['resync', 'a', 'b'])
  })

  it('comes back with the place that the server told it while nothing happened', async () => {
    const w = world()
    await w.live('10')
    w.last().says({ type: 'cursor', cursor: '99' })
    w.last().breaks()
    vi.runOnlyPendingTimers()
    await w.last().opens()
    expect(w.last().sent).toEqual([{ type: 'auth', token: 'token', since: '99' }])
  })

  it('tells of a suspended workspace, goes on trying, and resumes where it was', async () => {
    const w = world()
    await w.live()
    w.last().says(event('a', '11'))
    w.last().says({ type: 'error', code: 'workspace-suspended' })
    expect(w.options.suspended).toHaveBeenCalledOnce()
    expect(w.options.ended).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(500)
    expect(w.sockets.length).toBe(2)
    w.last().breaks() // the handshake is refused
    w.client.nudge()
    await w.last().opens()
    expect(w.last().sent).toEqual([{ type: 'auth', token: 'token', since: '11' }])
    w.last().says({ type: 'ready', cursor: '20' })
    expect(w.heard).toEqual(['resync', 'a'])
    expect(w.options.state).toHaveBeenLastCalledWith('live')
  })

  it('moves on over events it does not know', async () => {
    const w = world()
    await w.live()
    w.last().says(event('x', '11', 'note.v9.NoteSung'))
    w.last().says({ type: 'presence', who: [] })
    w.last().says('not json')
    w.last().breaks()
    await vi.advanceTimersByTimeAsync(500)
    await w.last().opens()
    expect(w.last().sent).toEqual([{ type: 'auth', token: 'token', since: '11' }])
    expect(w.heard).toEqual(['resync'])
  })

  it('says when a gap cannot be filled', async () => {
    const w = world()
    await w.live()
    w.last().breaks()
    await vi.advanceTimersByTimeAsync(500)
    await w.last().opens()
    w.last().says({ type: 'ready', cursor: '90' })
    w.last().says({ type: 'resync' })
    w.last().breaks()
    await vi.advanceTimersByTimeAsync(500)
    await w.last().opens()
    expect(w.last().sent).toEqual([{ type: 'auth', token: 'token', since: '90' }])
    expect(w.heard).toEqual(['resync', 'resync'])
  })

  it('comes back with another token when this one is refused', async () => {
    const w = world()
    await w.live()
    w.last().says({ type: 'error', code: 'token-expired' })
    await vi.advanceTimersByTimeAsync(500)
    await w.last().opens()
    expect(w.last().sent).toEqual([{ type: 'auth', token: 'token, renewed', since: '10' }])
  })

  it('waits longer each time, and no longer than it must', async () => {
    const w = world()
    w.client.start()
    for (const wait of [500, 1_000, 2_000, 4_000]) {
      w.last().breaks()
      const before = w.sockets.length
      await vi.advanceTimersByTimeAsync(wait - 1)
      expect(w.sockets.length).toBe(before)
      await vi.advanceTimersByTimeAsync(1)
      expect(w.sockets.length).toBe(before + 1)
    }
    w.last().breaks()
    w.client.nudge()
    await w.last().opens()
    w.last().says({ type: 'ready', cursor: '1' })
    w.last().breaks()
    await vi.advanceTimersByTimeAsync(500)
    expect(w.last().closed).toBe(false)
  })

  it('gives up on a server that never says ready', async () => {
    const w = world()
    w.client.start()
    const first = w.last()
    await first.opens()
    await vi.advanceTimersByTimeAsync(10_500)
    expect(first.closed).toBe(true)
    expect(w.sockets.length).toBe(2)
  })

  it('presents a renewed token on the same socket', async () => {
    const w = world()
    await w.live()
    w.client.renewed('newer')
    expect(w.last().sent.at(-1)).toEqual({ type: 'auth', token: 'newer' })
    w.last().says({ type: 'ready', cursor: '99' })
    w.last().breaks()
    await vi.advanceTimersByTimeAsync(500)
    await w.last().opens()
    expect(w.last().sent).toEqual([{ type: 'auth', token: 'token', since: '10' }])
  })

  it('stops for good when the session ended', async () => {
    const w = world()
    await w.live()
    w.last().says({ type: 'error', code: 'session-ended' })
    w.last().breaks()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(w.options.ended).toHaveBeenCalledOnce()
    expect(w.sockets.length).toBe(1)
  })

  it('tries again when there is no token to be had', async () => {
    const w = world()
    w.options.token.mockRejectedValueOnce(new Error('away'))
    w.client.start()
    await w.last().opens()
    await vi.advanceTimersByTimeAsync(500)
    expect(w.sockets.length).toBe(2)
  })

  it('hears nothing more after it was stopped', async () => {
    const w = world()
    await w.live()
    const socket = w.last()
    w.client.stop()
    socket.says(event('late', '12'))
    expect(w.heard).toEqual(['resync'])
    expect(w.options.state).toHaveBeenLastCalledWith('off')
  })
})

describe('frames', () => {
  it.each(['', '[]', 'null', '{"type":"unknown"}', '{"x":1}', '"ready"'])('%j is none', (text) => {
    expect(frameOf(text)).toBeUndefined()
  })

  it('carry events by name only', () => {
    const frame = { type: 'event' as const, event: 'constructor', id: '1', cursor: '1', data: {} }
    expect(eventOf(frame)).toBeUndefined()
    expect(eventOf({ ...frame, event: 'note.v1.NoteShared', data: null })).toBeUndefined()
  })
})

describe('backoff', () => {
  it('is spread out and bounded', () => {
    expect(backoff(0, () => 0)).toBe(150)
    expect(backoff(3, () => 1)).toBe(4_000)
    expect(backoff(1_000, () => 1)).toBe(30_000)
  })
})
