import { backoff } from './backoff'
import { eventOf, frameOf, type Frame, type LiveEvent } from './events'

export type LiveState = 'off' | 'connecting' | 'live' | 'waiting'

export interface LiveOptions {
  url: string
  /** A good access token, and another than the one that was refused; may have to fetch one. */
  token(refused?: string): Promise<string>
  /** In the order of the server. An event may come twice after a reconnect. */
  event(event: LiveEvent): void
  /** Events may have been missed: fetch again whatever is shown. */
  resync(): void
  state(state: LiveState): void
  /** The server ended the session. */
  ended(): void
  /** The workspace is suspended. The socket goes on trying; a nudge tells it that there is a point. */
  suspended(): void
  open?(url: string): WebSocket
  random?(): number
}

/** The server must say ready this soon after the socket opened, in milliseconds. */
const patience = 10_000

/**
 * The one live socket of this browser tab. After start it is connected again whenever it is lost, resumes behind the
 * last event it has seen, and says `resync` whenever it cannot promise that nothing was missed.
 */
export class LiveClient {
  private socket: WebSocket | undefined
  private cursor: string | undefined
  /** Where the server stood when it said ready: everything up to there is fetched after a resync. */
  private readyAt: string | undefined
  private presented: string | undefined
  private refused: string | undefined
  private attempt = 0
  private running = false
  private ready = false
  private retry: ReturnType<typeof setTimeout> | undefined
  private impatience: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly options: LiveOptions) {}

  start(): void {
    if (this.running) return
    this.running = true
    this.connect()
  }

  /** Closes the socket for good and forgets the cursor: the next start may be another person's. */
  stop(): void {
    this.running = false
    this.cursor = this.refused = undefined
    this.attempt = 0
    clearTimeout(this.retry)
    this.drop()
    this.options.state('off')
  }

  /** Connects now instead of waiting on: the network is back, or the machine woke up. */
  nudge(): void {
    if (!this.running || this.ready) return
    this.attempt = 0
    this.reconnect()
  }

  /** Replaces a socket that may be dead without anyone having noticed. Resuming makes this cheap. */
  reconnect(): void {
    if (!this.running) return
    clearTimeout(this.retry)
    this.drop()
    this.connect()
  }

  /** Presents a renewed token on the open socket, so that it is not closed when the old one ends. */
  renewed(token: string): void {
    if (this.ready) this.present(token)
  }

  private present(token: string, since?: string): void {
    this.presented = token
    this.socket?.send(JSON.stringify({ type: 'auth', token, since }))
  }

  private connect(): void {
    this.options.state('connecting')
    const open = this.options.open ?? ((url) => new WebSocket(url))
    const socket = open(this.options.url)
    this.socket = socket
    const mine = (handle: (message: MessageEvent) => void) => (message: MessageEvent | Event) => {
      if (this.socket === socket) handle(message as MessageEvent)
    }
    socket.onopen = mine(() => void this.greet(socket))
    socket.onmessage = mine((message) => this.receive(message.data))
    socket.onclose = mine(() => this.lost())
    this.impatience = setTimeout(() => {
      if (this.socket === socket && !this.ready) this.lost()
    }, patience)
  }

  private async greet(socket: WebSocket): Promise<void> {
    try {
      const token = await this.options.token(this.refused)
      if (this.socket !== socket) return
      this.present(token, this.cursor)
    } catch {
      if (this.socket === socket) this.lost()
    }
  }

  private receive(message: unknown): void {
    const frame = frameOf(message)
    if (frame) this.handle(frame)
  }

  private handle(frame: Frame): void {
    switch (frame.type) {
      case 'ready':
        return this.onReady(frame.cursor)
      case 'event':
        return this.onEvent(frame)
      case 'cursor': // nothing has happened to this person for a while, and the server has moved on
        this.cursor = frame.cursor
        return
      case 'resync':
        this.cursor = this.readyAt
        return this.options.resync()
      case 'error':
        return this.onError(frame.code)
    }
  }

  private onReady(cursor: string): void {
    if (this.ready) return // the answer to a renewed token
    this.ready = true
    this.readyAt = cursor
    this.refused = undefined
    this.attempt = 0
    clearTimeout(this.impatience)
    this.options.state('live')
    if (this.cursor !== undefined) return // the server plays what came since
    this.cursor = cursor
    this.options.resync() // what was fetched before may be older than the cursor
  }

  private onEvent(frame: Extract<Frame, { type: 'event' }>): void {
    const event = eventOf(frame)
    if (event) this.options.event(event)
    this.cursor = frame.cursor
  }

  private onError(code: string): void {
    if (code === 'token-expired' || code === 'unauthenticated') this.refused = this.presented
    if (code === 'workspace-suspended') this.options.suspended()
    if (code !== 'session-ended') return this.lost()
    this.stop()
    this.options.ended()
  }

  private lost(): void {
    this.drop()
    if (!this.running) return
    this.options.state('waiting')
    this.retry = setTimeout(() => this.connect(), backoff(this.attempt++, this.options.random))
  }

  private drop(): void {
    clearTimeout(this.impatience)
    this.ready = false
    const socket = this.socket
    this.socket = undefined
    socket?.close()
  }
}
