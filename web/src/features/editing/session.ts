import type { Note, NoteChange, Who } from '@/api/gen/note'
import { backoff } from '@/api/live/backoff'
import { ApiError, unreachable } from '@/api/problem'
import { randomHex } from '@/api/random'
import type { Base, Draft, DraftStore } from './drafts'
import { mergeContent, sameContent, sameTags, type Content } from './merge'

/** Where a person's text is. Each has its words: Saved, Saving…, On this device, not sent yet, Not accepted: copy it. */
export type SaveState = 'saved' | 'saving' | 'local' | 'refused'

/** Two versions that nobody but a person can bring together. */
export interface Conflict {
  base: Content
  theirs: Note
  /** Both versions in one, with what the person has changed about it. */
  proposal: Content
}

/** The part of the notes API that a session writes through. */
export interface Backend {
  create(content: Content, key: string): Promise<Note>
  change(id: string, version: number, change: NoteChange): Promise<Note>
}

export interface SessionListener {
  /** Anything about the session is different now. */
  changed?(): void
  /** The content is another one without the person having typed it; `by` wrote what came in. */
  merged?(content: Content, by: Who): void
  /** The server has a newer note and this session knows it. */
  confirmed?(note: Note): void
}

export interface SessionOptions {
  userId: string
  tab: string
  backend: Backend
  drafts: DraftStore
  now?: () => number
  random?: () => number
}

/** Send this long after the last keystroke, and at the latest this long after the first one, in milliseconds. */
const pause = 600
const patience = 2_500
/** Put the draft on the device at most this often while somebody types, in milliseconds. */
const draftPause = 200

const empty: Content = { title: '', body: '', tags: [] }
const nobody: Who = { id: '', name: '' }

/** The text of a note with the one kind of line break that editors use. */
export const contentOf = (note: Content): Content => ({
  title: note.title,
  body: note.body.replace(/\r\n?/g, '\n'),
  tags: note.tags,
})

const baseOf = (note: Note): Base => ({ ...contentOf(note), version: note.version })

/**
 * One person's work on one note. Keeps what they typed on the device until the server has confirmed it, sends it by
 * itself, merges what others wrote meanwhile, and never drops a character: what cannot be merged becomes a Conflict,
 * what is refused stays a draft.
 */
export class EditSession {
  id: string | undefined
  mine: Content
  conflict: Conflict | undefined
  /** Why the server did not take the text; typing on tries again, unless there is no room for it. */
  refusal: ApiError | undefined
  /** Why the text could not be sent for now. */
  failure: ApiError | undefined
  /** The browser keeps nothing on this device. */
  deviceFails = false

  private base: Base | undefined
  private first: Content | undefined
  /** The proposal as the person has changed it. */
  private wanted: Content | undefined
  /** The proposal as it was made. */
  private suggested: Content | undefined
  private createKey: string
  private flight: Promise<void> | undefined
  private waiting: Note | undefined
  private attempts = 0
  /** The server asked for nothing before this time. */
  private notBefore = 0
  /** How long the text was that there was no room for. */
  private refused = 0
  private lost = false
  private ended = false
  private firstEdit = 0
  private sendTimer: ReturnType<typeof setTimeout> | undefined
  private draftTimer: ReturnType<typeof setTimeout> | undefined
  private storing: Promise<void> = Promise.resolve()
  private stored = false
  private readonly listeners = new Set<SessionListener>()
  private readonly now: () => number

  private constructor(
    readonly key: string,
    private readonly options: SessionOptions,
    start: { id?: string; base?: Base; mine?: Content; first?: Content; wanted?: Content; createKey?: string },
  ) {
    this.id = start.id
    this.base = start.base
    this.mine = start.mine ?? (start.base ? contentOf(start.base) : empty)
    this.first = start.first
    this.wanted = start.wanted
    this.createKey = start.createKey ?? randomHex(16)
    this.now = options.now ?? Date.now
  }

  /** Work on a note of the server. */
  static of(note: Note, options: SessionOptions): EditSession {
    return new EditSession(randomHex(8), options, { id: note.id, base: baseOf(note) })
  }

  /** A note that nobody has seen yet. Without content, nothing is sent until something is written. */
  static fresh(options: SessionOptions, content?: Content): EditSession {
    const session = new EditSession(randomHex(8), options, {})
    if (content) session.edit(content)
    return session
  }

  /** Takes up a draft that an earlier tab left behind. */
  static adopt(draft: Draft, options: SessionOptions): EditSession {
    const session = new EditSession(draft.key, options, { ...draft, id: draft.noteId })
    session.stored = true
    session.later(0)
    return session
  }

  listen(listener: SessionListener): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  get version(): number {
    return this.base?.version ?? 0
  }

  /** There is text here that the server does not have. */
  get unsent(): boolean {
    return !sameContent(this.mine, this.base ?? empty)
  }

  get state(): SaveState {
    if (this.refusal || (this.lost && this.unsent)) return 'refused'
    if (!this.unsent && !this.flight) return 'saved'
    return this.failure || this.conflict || this.ended ? 'local' : 'saving'
  }

  edit(change: Partial<Content>): void {
    const mine = { ...this.mine, ...change }
    if (sameContent(mine, this.mine)) return
    this.mine = mine
    if (!this.lost && !this.noRoom(change)) this.refusal = undefined
    if (this.conflict) this.conflict = this.proposed(this.conflict)
    this.keepDraft()
    this.later(pause)
    this.tell()
  }

  /** The note as the server has it now, from wherever it was learnt. Older ones are ignored. */
  remote(note: Note): void {
    if (this.base && note.version <= this.base.version) return
    if (this.flight) {
      if (!this.waiting || note.version > this.waiting.version) this.waiting = note
      return
    }
    this.take(note, this.base ?? empty)
    this.keepDraft()
    this.later(0)
    this.tell()
  }

  /** Sends what is unsent now. Resolves when the server has answered or cannot be reached; never rejects. */
  async flush(): Promise<void> {
    clearTimeout(this.sendTimer)
    await this.flight
    this.send()
    await this.flight
    this.persist()
    await this.storing
  }

  /** Puts what is unsent on the device now: the page may be about to go. */
  keep(): void {
    this.persist()
  }

  /** Tries again at once: the network is back, or the person signed in again. */
  retry(): void {
    this.attempts = this.notBefore = 0
    this.ended = false
    if (this.unsent) this.later(0)
  }

  /** Sends what was refused once more: the person says that there is room now. */
  insist(): void {
    this.refusal = undefined
    this.retry()
    this.tell()
  }

  /** The person changes the proposal and has not decided yet. It is kept like any other text. */
  want(content: Content): void {
    if (!this.conflict) return
    this.wanted = content
    this.conflict = { ...this.conflict, proposal: content }
    this.keepDraft()
    this.tell()
  }

  /** The person's decision about a conflict. The other version stays in the history of the note. */
  resolve(content: Content): void {
    if (!this.conflict) return
    const { theirs } = this.conflict
    this.conflict = this.wanted = this.suggested = undefined
    this.base = baseOf(theirs)
    this.replace(content, theirs.updatedBy)
    this.keepDraft()
    this.later(0)
    this.tell()
  }

  /** The person may not see the note any more. What they had not sent stays a draft. */
  lose(): void {
    this.lost = true
    clearTimeout(this.sendTimer)
    this.keepDraft()
    this.tell()
  }

  /** The note is visible again. */
  regain(): void {
    if (!this.lost) return
    this.lost = false
    this.refusal = undefined
    this.later(0)
    this.tell()
  }

  get isLost(): boolean {
    return this.lost
  }

  /** Gives the unsent text up: it lives on elsewhere, or the person said so. */
  async discard(): Promise<void> {
    this.conflict = this.wanted = this.suggested = this.refusal = this.failure = undefined
    this.mine = this.base ? contentOf(this.base) : empty
    clearTimeout(this.sendTimer)
    this.persist()
    this.tell()
    await this.storing
  }

  /** Stops all timers. What is unsent stays on the device for whoever adopts it. */
  close(): void {
    clearTimeout(this.sendTimer)
    this.persist()
    this.listeners.clear()
    this.ended = true
  }

  /** Other words would not be taken either, unless they are fewer and it is their length that does not fit. */
  private noRoom({ body }: Partial<Content>): boolean {
    if (!this.refusal?.full) return false
    return this.refusal.code !== 'storage-limit-reached' || body === undefined || body.length >= this.refused
  }

  private later(wait: number): void {
    clearTimeout(this.sendTimer)
    if (this.flight || this.conflict || this.lost || !this.unsent) return
    if (wait === pause) {
      this.firstEdit ||= this.now()
      wait = Math.max(0, Math.min(pause, this.firstEdit + patience - this.now()))
    }
    this.sendTimer = setTimeout(() => this.send(), Math.max(wait, this.notBefore - this.now()))
  }

  private send(): void {
    if (this.flight || this.conflict || this.lost || this.ended || this.refusal || !this.unsent) return
    clearTimeout(this.sendTimer)
    this.firstEdit = 0
    this.flight = this.attempt().finally(() => {
      this.flight = undefined
      const waiting = this.waiting
      this.waiting = undefined
      if (waiting) this.remote(waiting)
      this.persist()
      this.schedule()
      this.tell()
    })
    this.tell()
  }

  private schedule(): void {
    if (!this.unsent || this.refusal) return
    if (!this.failure) return this.later(this.firstEdit ? pause : 0)
    this.later(backoff(this.attempts++, this.options.random))
  }

  private async attempt(): Promise<void> {
    let sent = this.mine
    try {
      let note: Note
      if (this.base && this.id) {
        note = await this.options.backend.change(this.id, this.base.version, delta(this.base, sent))
      } else {
        sent = this.first ??= sent
        await this.persistNow()
        note = await this.options.backend.create(sent, this.createKey)
      }
      this.accepted(note, sent)
    } catch (err) {
      this.refused = sent.body.length
      this.rejected(err)
    }
  }

  private accepted(note: Note, sent: Content): void {
    this.id = note.id
    this.first = this.failure = undefined
    this.attempts = this.notBefore = 0
    this.take(note, sent)
    this.emit((l) => l.confirmed?.(note))
  }

  private rejected(err: unknown): void {
    if (!(err instanceof ApiError)) {
      // A defect of this program: the text stays on the device like any other that could not be sent.
      reportError(err)
      this.failure = unreachable('')
    } else if (err.status === 412 && err.current) {
      this.failure = undefined
      this.take(err.current, this.base ?? empty)
      const { current } = err
      this.emit((l) => l.confirmed?.(current))
    } else if (err.status === 401) {
      this.failure = err
      this.ended = true
    } else if (err.temporary) {
      this.failure = err
      if (err.retryAfter) this.notBefore = this.now() + err.retryAfter
    } else {
      this.failure = undefined
      this.refusal = err
      this.forgetFirst()
    }
  }

  /** After a refusal the same key must not be used for another text. */
  private forgetFirst(): void {
    this.first = undefined
    if (!this.base) this.createKey = randomHex(16)
  }

  /** Makes theirs the base; the person's edits since `since` go on top. */
  private take(theirs: Note, since: Content): void {
    const merged = mergeContent(since, this.mine, contentOf(theirs))
    if (merged.conflict || this.conflict) {
      this.conflict = this.proposed({ base: this.conflict?.base ?? since, theirs })
      return
    }
    this.wanted = this.suggested = undefined
    this.base = baseOf(theirs)
    this.replace(merged.content, theirs.updatedBy)
  }

  /** The conflict with a proposal that has everything new of both sides, and keeps what the person made of the last one. */
  private proposed({ base, theirs }: Pick<Conflict, 'base' | 'theirs'>): Conflict {
    const fresh = mergeContent(base, this.mine, contentOf(theirs)).content
    if (this.wanted && this.suggested) this.wanted = mergeContent(this.suggested, this.wanted, fresh).content
    this.suggested = fresh
    return { base, theirs, proposal: this.wanted ?? fresh }
  }

  private replace(content: Content, by: Who): void {
    if (sameContent(content, this.mine)) return
    this.mine = content
    this.emit((l) => l.merged?.(content, by ?? nobody))
  }

  private keepDraft(): void {
    this.draftTimer ??= setTimeout(() => this.persist(), this.stored ? draftPause : 0)
  }

  /** Brings the device's copy up to date with the session as it is when its turn comes. */
  private persist(): void {
    clearTimeout(this.draftTimer)
    this.draftTimer = undefined
    this.storing = this.storing.then(() => this.store())
  }

  private async persistNow(): Promise<void> {
    this.persist()
    await this.storing
  }

  private async store(): Promise<void> {
    const fails = this.deviceFails
    try {
      if (this.unsent) {
        await this.options.drafts.put(this.draft())
        this.stored = true
      } else if (this.stored) {
        await this.options.drafts.remove(this.key)
        this.stored = false
      }
      this.deviceFails = false
    } catch {
      this.deviceFails = true
    }
    if (fails !== this.deviceFails) this.tell()
  }

  private draft(): Draft {
    const { key, id, base, mine, first, wanted, createKey } = this
    const { userId, tab } = this.options
    // Plain copies: what the store gets may be a proxy of the view's.
    const plain = JSON.parse(JSON.stringify({ base, mine, first, wanted })) as Pick<Draft, 'base' | 'mine' | 'first' | 'wanted'>
    return { key, userId, noteId: id, ...plain, createKey, tab, savedAt: this.now() }
  }

  private tell(): void {
    this.emit((l) => l.changed?.())
  }

  private emit(call: (listener: SessionListener) => void): void {
    for (const listener of [...this.listeners]) call(listener)
  }
}

/** The fields that differ. */
function delta(base: Content, mine: Content): NoteChange {
  return {
    ...(mine.title === base.title ? {} : { title: mine.title }),
    ...(mine.body === base.body ? {} : { body: mine.body }),
    ...(sameTags(mine.tags, base.tags) ? {} : { tags: mine.tags }),
  }
}
