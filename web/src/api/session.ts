import type { Send } from './http'
import { ApiError } from './problem'
import { newTrace, type Trace } from './trace'
import type { Credentials, Registration, Session, User } from './gen/user'

/** The session has ended and only signing in again helps. */
export const sessionEnded = (traceId: string) => new ApiError(401, 'session-ended', '', traceId)

/** Runs the work of all tabs of this browser one after the other, where the browser can. */
export type Exclusive = <T>(work: () => Promise<T>) => Promise<T>

export interface SessionEvents {
  /** A fresh access token is at hand. */
  renewed(token: string): void
  /** Nobody is signed in any more: the refresh cookie was refused. */
  ended(): void
}

/** Renew when this little is left of a token, in milliseconds. */
const margin = 30_000

/**
 * Who is signed in, and the access token, which lives in memory and nowhere else.
 * Renewals are single flight; a timer renews before the token ends, so that the live socket never goes stale.
 */
export class SessionKeeper {
  private access = ''
  /** Someone is signed in, as far as is known: there is a point in asking for tokens. */
  private open = false
  private expires = 0
  private flight: Promise<Session> | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private events: SessionEvents[] = []

  constructor(
    private readonly send: Send,
    private readonly exclusive: Exclusive = (work) => work(),
    private readonly now: () => number = Date.now,
  ) {}

  subscribe(events: SessionEvents): void {
    this.events.push(events)
  }

  async signIn(credentials: Credentials): Promise<User> {
    return this.accept(await this.send<Session>('/api/v1/auth/login', { method: 'POST', body: credentials })).user
  }

  async signUp(registration: Registration): Promise<User> {
    return this.accept(await this.send<Session>('/api/v1/auth/register', { method: 'POST', body: registration })).user
  }

  /** Takes up the session of the refresh cookie. Throws 401 session-ended when there is none. */
  async restore(): Promise<User> {
    this.open = true
    return (await this.refresh()).user
  }

  /** Ends the session here and on the server. When the server cannot be told it throws, and the session stays. */
  async signOut(): Promise<void> {
    await this.send<void>('/api/v1/auth/logout', { method: 'POST' })
    this.forget()
  }

  async token(): Promise<string> {
    if (this.access && this.now() < this.expires - margin / 3) return this.access
    if (!this.open) throw sessionEnded(newTrace().id)
    return (await this.refresh()).accessToken
  }

  async renew(refused: string): Promise<string> {
    if (this.access && this.access !== refused) return this.access
    if (!this.open) throw sessionEnded(newTrace().id)
    return (await this.refresh()).accessToken
  }

  /** Drops the token without a word to the server: it has ended the session itself. */
  forget(): void {
    this.open = false
    this.access = ''
    this.expires = 0
    clearTimeout(this.timer)
  }

  private refresh(): Promise<Session> {
    this.flight ??= this.exclusive(() => this.requestToken()).finally(() => (this.flight = undefined))
    return this.flight
  }

  private async requestToken(trace: Trace = newTrace()): Promise<Session> {
    try {
      return this.accept(await this.send<Session>('/api/v1/auth/refresh', { method: 'POST', trace }))
    } catch (err) {
      if (!(err instanceof ApiError) || err.status !== 401) throw err
      this.forget()
      for (const e of this.events) e.ended()
      throw sessionEnded(err.traceId)
    }
  }

  private accept(session: Session): Session {
    this.open = true
    this.access = session.accessToken
    this.expires = this.now() + session.expiresIn * 1000
    this.renewIn(Math.max(session.expiresIn * 1000 - margin, 1000))
    for (const e of this.events) e.renewed(session.accessToken)
    return session
  }

  private renewIn(wait: number): void {
    clearTimeout(this.timer)
    // Failing is fine here: whoever needs the token next asks again and hears why.
    this.timer = setTimeout(() => void this.refresh().catch(() => undefined), wait)
  }
}

/** Web Locks where there are any; plain-http hosts other than localhost have none. */
export const acrossTabs: Exclusive = (work) =>
  'locks' in navigator ? (navigator.locks.request('nw-refresh', work) as ReturnType<typeof work>) : work()
