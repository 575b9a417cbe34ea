import type { Workspace } from './gen/user'
import type { Send } from './http'
import { ApiError } from './problem'

/** Ask this often whether a suspended workspace is back, in milliseconds; jittered, so that a crowd does not come back at once. */
const pause = 15_000

/**
 * Whether the workspace is suspended, as far as is known. It is when any answer says so, and not any more when the workspace itself,
 * which is asked for meanwhile, does not say so.
 */
export class Suspension {
  private suspended = false
  /** How often it began: an answer to a question from before that tells nothing. */
  private begun = 0
  private looking: Promise<void> | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private readonly listeners: ((on: boolean) => void)[] = []

  constructor(
    private readonly ask: () => Promise<Workspace>,
    private readonly random: () => number = Math.random,
  ) {}

  get on(): boolean {
    return this.suspended
  }

  listen(listener: (on: boolean) => void): void {
    this.listeners.push(listener)
  }

  /** A Send that sees it in the answers. */
  watching(send: Send): Send {
    return async <T>(...request: Parameters<Send>) => {
      try {
        return await send<T>(...request)
      } catch (err) {
        if (err instanceof ApiError && err.code === 'workspace-suspended') this.begin()
        throw err
      }
    }
  }

  begin(): void {
    this.begun++
    this.set(true)
  }

  /** Asks now. A question that fails tells nothing. */
  look(): Promise<void> {
    this.looking ??= this.question().finally(() => (this.looking = undefined))
    return this.looking
  }

  private async question(): Promise<void> {
    const before = this.begun
    try {
      const { suspended = false } = await this.ask()
      if (before === this.begun) this.set(suspended)
    } catch {
      // The server is away, too. Whoever needs to know asks again.
    }
    this.plan()
  }

  private set(on: boolean): void {
    if (this.suspended === on) return
    this.suspended = on
    this.plan()
    for (const listener of this.listeners) listener(on)
  }

  private plan(): void {
    clearTimeout(this.timer)
    if (this.suspended) this.timer = setTimeout(() => void this.look(), pause * (0.7 + 0.6 * this.random()))
  }
}
