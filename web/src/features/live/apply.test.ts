import { QueryClient } from '@tanstack/vue-query'
import { describe, expect, it, vi } from 'vitest'
import type { Note, NoteItem } from '@/api/gen/note'
import type { LiveEvent } from '@/api/live/events'
import type { Pages } from '../notes/cache'
import { keys } from '../notes/keys'
import { applyEvent, type Audience } from './apply'

const ann = { id: 'ann', name: 'Ann' }

function note(id: string, version = 1): Note {
  return {
    id,
    title: id,
    body: 'body',
    tags: [],
    version,
    owner: ann,
    role: 'editor',
    pinned: false,
    archived: false,
    createdAt: '2026-01-01T00:00:00Z',
    updatedAt: '2026-01-01T00:00:00Z',
    updatedBy: ann,
    trashedAt: null,
  }
}

const item = (id: string): NoteItem => {
  const { body, ...rest } = note(id)
  return { ...rest, excerpt: body, shared: true }
}

function world() {
  const client = new QueryClient()
  const list = keys.list({ view: 'all' })
  client.setQueryData<Pages>(list, { pages: [{ items: [item('a'), item('b')], nextCursor: 'x' }, { items: [item('c')], nextCursor: null }], pageParams: [] })
  client.setQueryData(keys.note('c'), note('c'))
  const audience = {
    me: 'bob',
    nameOf: (id: string) => (id === 'ann' ? 'Ann' : ''),
    rename: vi.fn(),
    noteChanged: vi.fn(),
    noteStale: vi.fn(),
    noteLost: vi.fn(),
    noteGained: vi.fn(),
    told: vi.fn(),
  } satisfies Audience
  const apply = (type: LiveEvent['type'], data: object) => applyEvent(client, audience, { type, id: 'e', data } as LiveEvent)
  const order = () => client.getQueryData<Pages>(list)!.pages.flatMap((page) => page.items.map((i) => i.id))
  const isStale = (key: readonly unknown[]) => client.getQueryState(key)?.isInvalidated
  return { client, audience, apply, order, isStale, list }
}

describe('a change', () => {
  it('is shown everywhere at once, newest first', () => {
    const w = world()
    w.apply('note.v1.NoteChanged', { noteId: 'c', version: 2, actorId: 'ann', body: 'new words', updatedAt: '2026-02-01T00:00:00Z' })
    expect(w.client.getQueryData<Note>(keys.note('c'))).toMatchObject({ version: 2, body: 'new words', title: 'c' })
    expect(w.order()).toEqual(['c', 'a', 'b'])
    expect(w.audience.noteChanged).toHaveBeenCalledOnce()
    expect(w.isStale(w.list)).toBeFalsy()
  })

  it('of the past is ignored', () => {
    const w = world()
    w.apply('note.v1.NoteChanged', { noteId: 'c', version: 1, body: 'again' })
    expect(w.client.getQueryData<Note>(keys.note('c'))?.body).toBe('body')
    expect(w.audience.noteChanged).not.toHaveBeenCalled()
  })

  it.each([
    ['with a gap', { version: 3, body: 'x' }],
    ['without its long body', { version: 2, bodyOmitted: true }],
  ])('%s is fetched', (_, data) => {
    const w = world()
    w.apply('note.v1.NoteChanged', { noteId: 'c', ...data })
    expect(w.isStale(keys.note('c'))).toBe(true)
    expect(w.audience.noteStale).toHaveBeenCalledWith('c')
    expect(w.audience.noteChanged).not.toHaveBeenCalled()
  })

  it('can take all tags away', () => {
    const w = world()
    w.client.setQueryData(keys.note('c'), { ...note('c'), tags: ['x'] })
    w.apply('note.v1.NoteChanged', { noteId: 'c', version: 2, tags: {} })
    expect(w.client.getQueryData<Note>(keys.note('c'))?.tags).toEqual([])
  })
})

describe('a share', () => {
  it('is told to the person it is for', () => {
    const w = world()
    w.apply('note.v1.NoteShared', { noteId: 'new', personId: 'bob', actorId: 'ann', role: 'viewer', title: 'Plan' })
    expect(w.audience.told).toHaveBeenCalledWith({ kind: 'shared', noteId: 'new', by: 'ann', title: 'Plan', role: 'viewer' })
    expect(w.isStale(w.list)).toBe(true)
  })

  it('in another role is told as such', () => {
    const w = world()
    w.apply('note.v1.NoteShared', { noteId: 'c', personId: 'bob', actorId: 'ann', role: 'viewer', title: 'c' })
    expect(w.audience.told).toHaveBeenCalledWith({ kind: 'role', noteId: 'c', by: 'ann', title: 'c', role: 'viewer' })
    expect(w.isStale(keys.note('c'))).toBe(true)
  })

  it('with somebody else is nothing to tell', () => {
    const w = world()
    w.apply('note.v1.NoteShared', { noteId: 'c', personId: 'eve', actorId: 'ann', role: 'viewer' })
    expect(w.audience.told).not.toHaveBeenCalled()
  })

  it('taken away makes the note disappear at once', () => {
    const w = world()
    w.apply('note.v1.NoteUnshared', { noteId: 'c', personId: 'bob', actorId: 'ann' })
    expect(w.order()).toEqual(['a', 'b'])
    expect(w.client.getQueryData(keys.note('c'))).toBeUndefined()
    expect(w.audience.noteLost).toHaveBeenCalledWith('c')
    expect(w.audience.told).toHaveBeenCalledWith({ kind: 'unshared', noteId: 'c', by: 'ann', title: 'c' })
  })

  it('taken from somebody else leaves the note', () => {
    const w = world()
    w.apply('note.v1.NoteUnshared', { noteId: 'c', personId: 'eve', actorId: 'ann' })
    expect(w.order()).toEqual(['a', 'b', 'c'])
  })
})

describe('the rest', () => {
  it('takes trashed notes away', () => {
    const w = world()
    w.apply('note.v1.NoteTrashed', { noteId: 'a' })
    expect(w.order()).toEqual(['b', 'c'])
    expect(w.audience.noteLost).toHaveBeenCalledWith('a')
  })

  it('marks pins, and unpins by absence', () => {
    const w = world()
    w.apply('note.v1.NotePinned', { noteId: 'c', personId: 'bob', pinned: true })
    expect(w.client.getQueryData<Note>(keys.note('c'))?.pinned).toBe(true)
    w.apply('note.v1.NotePinned', { noteId: 'c', personId: 'bob' })
    expect(w.client.getQueryData<Note>(keys.note('c'))?.pinned).toBe(false)
  })

  it('learns names', () => {
    const w = world()
    w.apply('user.v1.UserRenamed', { userId: 'ann', name: 'Anna' })
    expect(w.audience.rename).toHaveBeenCalledWith('ann', 'Anna')
  })
})
