import { IDBFactory } from 'fake-indexeddb'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Note, NoteChange } from '@/api/gen/note'
import { ApiError, unreachable } from '@/api/problem'
import { indexedDrafts, type DraftStore } from './drafts'
import type { Content } from './merge'
import { EditSession, type Backend } from './session'

const ann = { id: 'ann', name: 'Ann' }
const bob = { id: 'bob', name: 'Bob' }

function noteOf(version: number, content: Partial<Content> = {}, by = ann): Note {
  return {
    id: 'n1',
    title: 'Plan',
    body: 'one\ntwo\nthree',
    tags: [],
    ...content,
    version,
    owner: ann,
    role: 'owner',
    pinned: false,
    archived: false,
    createdAt: '2026-01-01T00:00:00Z',
    updatedAt: '2026-01-01T00:00:00Z',
    updatedBy: by,
    trashedAt: null,
  }
}

/** A server of one note that keeps the rules of If-Match and Idempotency-Key. */
class Server implements Backend {
  note: Note | undefined
  sent: (NoteChange & { version: number })[] = []
  created: string[] = []
  failing: ApiError | undefined
  /** Answers get lost, though the work is done. */
  deaf = false
  hold: Promise<void> | undefined

  async create(content: Content, key: string): Promise<Note> {
    await this.hold
    if (this.failing) throw this.failing
    this.created.push(key)
    this.note ??= noteOf(1, content)
    return this.answer()
  }

  async change(_: string, version: number, change: NoteChange): Promise<Note> {
    await this.hold
    if (this.failing) throw this.failing
    const current = this.note!
    if (current.version !== version) throw new ApiError(412, 'stale', '', 't', undefined, current)
    this.sent.push({ ...change, version })
    this.note = { ...current, ...change, version: version + 1, updatedBy: ann }
    return this.answer()
  }

  private answer(): Note {
    if (this.deaf) throw unreachable('t')
    return this.note!
  }
}

let server: Server
let drafts: DraftStore

const options = () => ({ userId: 'ann', tab: 't1', backend: server, drafts, random: () => 1 })
const open = (note = noteOf(1)) => {
  server.note = note
  return EditSession.of(note, options())
}
const settle = () => vi.advanceTimersByTimeAsync(3_000)

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  server = new Server()
  drafts = indexedDrafts(new IDBFactory())
})
afterEach(() => vi.useRealTimers())

describe('saving', () => {
  it('sends what changed, once, after a pause', async () => {
    const session = open()
    session.edit({ body: 'one' })
    expect(session.state).toBe('saving')
    await vi.advanceTimersByTimeAsync(300)
    session.edit({ body: 'one!' })
    await settle()
    expect(server.sent).toEqual([{ body: 'one!', version: 1 }])
    expect(session.state).toBe('saved')
    await vi.waitFor(async () => expect(await drafts.all('ann')).toEqual([]))
  })

  it('does not wait for ever while somebody types', async () => {
    const session = open()
    for (let i = 0; i < 30; i++) {
      session.edit({ body: 'x'.repeat(i + 1) })
      await vi.advanceTimersByTimeAsync(100)
    }
    expect(server.sent.length).toBe(1)
  })

  it('sends what was typed during a request with the new version', async () => {
    let release = () => {}
    server.hold = new Promise((r) => (release = r))
    const session = open()
    session.edit({ body: 'a' })
    await vi.advanceTimersByTimeAsync(700)
    session.edit({ body: 'ab' })
    server.hold = undefined
    release()
    await settle()
    expect(server.sent).toEqual([
      { body: 'a', version: 1 },
      { body: 'ab', version: 2 },
    ])
    expect(session.version).toBe(3)
  })

  it('creates a note only when something is written, and only once though the answer was lost', async () => {
    const session = EditSession.fresh(options())
    await settle()
    expect(session.state).toBe('saved')
    expect(server.created).toEqual([])
    server.deaf = true
    session.edit({ title: 'New' })
    await vi.advanceTimersByTimeAsync(700)
    session.edit({ body: 'more' })
    await vi.waitFor(() => expect(session.state).toBe('local'))
    server.deaf = false
    await vi.advanceTimersByTimeAsync(60_000)
    await vi.waitFor(() => expect(session.state).toBe('saved'))
    expect(new Set(server.created).size).toBe(1)
    expect(server.note).toMatchObject({ title: 'New', body: 'more', version: 2 })
    expect(session.id).toBe('n1')
  })

  it('takes up what the server made of the text', async () => {
    const session = open()
    server.change = () => Promise.resolve(noteOf(2, { title: 'Plan B' }))
    session.edit({ title: ' Plan B ' })
    await settle()
    expect(session.mine.title).toBe('Plan B')
    expect(session.state).toBe('saved')
  })
})

describe('offline', () => {
  it('keeps the draft on the device and sends it when the network is back', async () => {
    server.failing = unreachable('t')
    const session = open()
    session.edit({ body: 'offline words' })
    await vi.advanceTimersByTimeAsync(700)
    expect(session.state).toBe('local')
    await vi.waitFor(async () => expect((await drafts.all('ann'))[0]?.mine.body).toBe('offline words'))
    server.failing = undefined
    session.retry()
    await settle()
    expect(session.state).toBe('saved')
    expect(server.note?.body).toBe('offline words')
  })

  it('waits as long as the server asks, whatever is typed meanwhile', async () => {
    const change = vi.spyOn(server, 'change')
    const session = open()
    server.failing = new ApiError(429, 'requests-limit-reached', '', 't', undefined, undefined, 20_000)
    session.edit({ body: 'a' })
    await vi.advanceTimersByTimeAsync(700)
    server.failing = undefined
    for (let i = 0; i < 19; i++) {
      session.edit({ body: 'a'.repeat(i + 2) })
      expect(session.state).toBe('local')
      await vi.advanceTimersByTimeAsync(1_000)
    }
    expect(change).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(change).toHaveBeenCalledTimes(2)
    expect(session.state).toBe('saved')
    expect(server.note?.body).toBe('a'.repeat(20))
  })

  it('goes on at once when a suspended workspace is back, though it was asked to wait', async () => {
    const session = open()
    server.failing = new ApiError(503, 'workspace-suspended', '', 't', undefined, undefined, 60_000)
    session.edit({ body: 'kept' })
    await vi.advanceTimersByTimeAsync(700)
    expect(session.state).toBe('local')
    await vi.waitFor(async () => expect((await drafts.all('ann'))[0]?.mine.body).toBe('kept'))
    server.failing = undefined
    session.retry()
    await vi.advanceTimersByTimeAsync(100)
    await vi.waitFor(() => expect(session.state).toBe('saved'))
  })

  it('resends the draft of a tab that is gone', async () => {
    server.failing = unreachable('t')
    const session = open()
    session.edit({ body: 'one\ntwo\nTHREE' })
    await session.flush()
    session.close()
    server.failing = undefined
    server.note = noteOf(2, { body: 'ONE\ntwo\nthree' }, bob)
    const [draft] = await drafts.all('ann')
    const again = EditSession.adopt(draft!, options())
    await settle()
    expect(server.note.body).toBe('ONE\ntwo\nTHREE')
    expect(again.state).toBe('saved')
    await vi.waitFor(async () => expect(await drafts.all('ann')).toEqual([]))
  })

  it('shows one person nothing of another', async () => {
    server.failing = unreachable('t')
    const session = open()
    session.edit({ body: 'private' })
    await session.flush()
    expect(await drafts.all('bob')).toEqual([])
  })

  it('waits for signing in again after the session ended', async () => {
    server.failing = new ApiError(401, 'session-ended', '', 't')
    const session = open()
    session.edit({ body: 'kept' })
    await vi.advanceTimersByTimeAsync(120_000)
    expect(session.state).toBe('local')
    server.failing = undefined
    session.retry()
    await settle()
    expect(server.note?.body).toBe('kept')
  })

  it('says when the device keeps nothing', async () => {
    drafts = { put: () => Promise.reject(new Error('quota')), remove: () => Promise.resolve(), all: () => Promise.resolve([]) }
    server.failing = unreachable('t')
    const session = open()
    session.edit({ body: 'x' })
    await session.flush()
    expect(session.deviceFails).toBe(true)
  })
})

describe('others', () => {
  it('take effect at once where nothing is unsent', () => {
    const session = open()
    const merged = vi.fn()
    session.listen({ merged })
    session.remote(noteOf(2, { body: 'theirs' }, bob))
    expect(merged).toHaveBeenCalledWith({ title: 'Plan', body: 'theirs', tags: [] }, bob)
    expect(session.state).toBe('saved')
    expect(session.version).toBe(2)
  })

  it('merge with unsent words in other places', async () => {
    const session = open()
    session.edit({ body: 'one\ntwo\nTHREE' })
    server.note = noteOf(2, { body: 'ONE\ntwo\nthree' }, bob)
    session.remote(server.note)
    expect(session.mine.body).toBe('ONE\ntwo\nTHREE')
    await settle()
    expect(server.sent).toEqual([{ body: 'ONE\ntwo\nTHREE', version: 2 }])
  })

  it('are merged after a stale answer', async () => {
    const session = open()
    server.note = noteOf(5, { body: 'ONE\ntwo\nthree' }, bob)
    session.edit({ body: 'one\ntwo\nTHREE' })
    await settle()
    expect(server.note.body).toBe('ONE\ntwo\nTHREE')
    expect(session.state).toBe('saved')
  })

  it('wait until a request is answered', async () => {
    let release = () => {}
    server.hold = new Promise((r) => (release = r))
    const session = open()
    session.edit({ body: 'mine' })
    await vi.advanceTimersByTimeAsync(700)
    session.remote(noteOf(2, { body: 'mine' })) // the live event of the very change
    release()
    await settle()
    expect(session.version).toBe(2)
    expect(session.conflict).toBeUndefined()
  })

  it('do not come back from the past', () => {
    const session = open(noteOf(7))
    session.remote(noteOf(6, { body: 'old' }))
    expect(session.mine.body).toBe('one\ntwo\nthree')
  })
})

describe('a conflict', () => {
  async function conflicting() {
    const session = open()
    server.note = noteOf(2, { body: 'one\ntheir two\nthree' }, bob)
    session.edit({ body: 'one\nmy two\nthree' })
    await settle()
    return session
  }

  it('keeps both versions and sends nothing by itself', async () => {
    const session = await conflicting()
    expect(session.state).toBe('local')
    expect(session.conflict?.theirs.body).toBe('one\ntheir two\nthree')
    expect(session.mine.body).toBe('one\nmy two\nthree')
    expect(session.conflict?.proposal.body).toBe('one\ntheir two\nmy two\nthree')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(server.sent).toEqual([])
    expect(await drafts.all('ann')).toHaveLength(1)
  })

  it('ends with what the person chose', async () => {
    const session = await conflicting()
    session.resolve(session.conflict!.proposal)
    await settle()
    expect(server.note?.body).toBe('one\ntheir two\nmy two\nthree')
    expect(session.state).toBe('saved')
  })

  it('follows both sides while it is open', async () => {
    const session = await conflicting()
    session.edit({ body: 'one\nmy two\nthree\nfour' })
    session.remote(noteOf(3, { body: 'zero\none\ntheir two\nthree' }, bob))
    expect(session.conflict?.proposal.body).toBe('zero\none\ntheir two\nmy two\nthree\nfour')
  })

  it('keeps what the person made of the proposal, whatever comes meanwhile', async () => {
    const session = await conflicting()
    session.want({ ...session.mine, body: 'one\ntheir and my two\nthree' })
    session.remote(noteOf(3, { body: 'one\ntheir two\nthree\nfour' }, bob))
    expect(session.conflict?.proposal.body).toBe('one\ntheir and my two\nthree\nfour')
    await session.flush()
    const [draft] = await drafts.all('ann')
    session.close()
    server.note = noteOf(3, { body: 'one\ntheir two\nthree\nfour' }, bob)
    const again = EditSession.adopt(draft!, options())
    await settle()
    expect(again.conflict?.proposal.body).toBe('one\ntheir and my two\nthree\nfour')
    expect(again.mine.body).toBe('one\nmy two\nthree')
  })

  it('comes back when theirs changed again meanwhile', async () => {
    const session = await conflicting()
    server.note = noteOf(3, { body: 'one\ntheir newest two\nthree' }, bob)
    session.resolve({ ...session.mine })
    await settle()
    expect(session.conflict?.theirs.version).toBe(3)
    expect(session.mine.body).toBe('one\nmy two\nthree')
  })
})

describe('a refusal', () => {
  it('keeps the text and tries again when it is changed', async () => {
    const session = open()
    server.failing = new ApiError(400, 'title-too-long', 'too long', 't')
    session.edit({ title: 'x'.repeat(301) })
    await settle()
    expect(session.state).toBe('refused')
    expect(await drafts.all('ann')).toHaveLength(1)
    server.failing = undefined
    session.edit({ title: 'short' })
    await settle()
    expect(session.state).toBe('saved')
  })

  it('for want of room is not tried again by itself, and never loses the text', async () => {
    const change = vi.spyOn(server, 'change')
    const session = open()
    server.failing = new ApiError(403, 'storage-limit-reached', '', 't')
    session.edit({ body: 'much' })
    await settle()
    session.edit({ body: 'much more' })
    await vi.advanceTimersByTimeAsync(600_000)
    session.retry() // the network was away
    await settle()
    expect(session.state).toBe('refused')
    expect(change).toHaveBeenCalledTimes(1)
    expect((await drafts.all('ann'))[0]?.mine.body).toBe('much more')

    session.insist()
    expect(session.state).toBe('saving')
    await settle()
    expect(session.state).toBe('refused')
    server.failing = undefined
    session.insist()
    await settle()
    expect(session.state).toBe('saved')
    expect(server.note?.body).toBe('much more')
    await vi.waitFor(async () => expect(await drafts.all('ann')).toEqual([]))
  })

  it('for want of room passes when the text is made to fit', async () => {
    const session = open()
    server.failing = new ApiError(403, 'storage-limit-reached', '', 't')
    session.edit({ body: 'too much' })
    await settle()
    server.failing = undefined
    session.edit({ title: 'Another' })
    await settle()
    expect(session.state).toBe('refused')
    session.edit({ body: 'fits' })
    await settle()
    expect(session.state).toBe('saved')
    expect(server.note).toMatchObject({ title: 'Another', body: 'fits' })
  })

  it('of a new note for want of room is made good by whoever takes the draft up', async () => {
    const is = (session: EditSession, state: string) => vi.waitFor(() => expect(session.state).toBe(state))
    server.failing = new ApiError(403, 'notes-limit-reached', '', 't')
    const session = EditSession.fresh(options(), { title: 'New', body: '', tags: [] })
    await settle()
    await is(session, 'refused')
    session.edit({ body: 'x' })
    await settle()
    await is(session, 'refused')
    session.close()
    await vi.waitFor(async () => expect((await drafts.all('ann'))[0]?.mine.body).toBe('x'))
    const [draft] = await drafts.all('ann')
    const again = EditSession.adopt(draft!, options())
    await settle()
    await is(again, 'refused')
    server.failing = undefined
    again.insist()
    await settle()
    await is(again, 'saved')
    expect(server.note).toMatchObject({ title: 'New', body: 'x' })
    expect(server.created).toHaveLength(1)
  })

  it('stays when the note was taken away, with the draft', async () => {
    const session = open()
    session.edit({ body: 'unsent' })
    session.lose()
    await settle()
    expect(server.sent).toEqual([])
    expect(session.state).toBe('refused')
    await vi.waitFor(async () => expect(await drafts.all('ann')).toHaveLength(1))
    await session.discard()
    expect(await drafts.all('ann')).toEqual([])
  })
})
