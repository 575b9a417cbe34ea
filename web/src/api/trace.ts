import { randomHex } from './random'

/** One person's action as tracing sees it: every request it causes carries the same trace id. */
export interface Trace {
  readonly id: string
  /** A traceparent header for the next request of this action, sampled. */
  parent(): string
}

export function newTrace(): Trace {
  const id = randomHex(16)
  return { id, parent: () => `00-${id}-${randomHex(8)}-01` }
}
