import type { Note, Problem } from './gen/note'

/** What went wrong with a request, whether the server said so or could not be reached at all. */
export class ApiError extends Error {
  override readonly name = 'ApiError'

  constructor(
    /** The HTTP status, 0 when there was no answer. */
    readonly status: number,
    /** The stable code of the problem; `unreachable` when there was no answer. */
    readonly code: string,
    readonly detail: string,
    readonly traceId: string,
    readonly field?: string,
    /** The note as it is, in the answer to a stale change. */
    readonly current?: Note,
    /** How long the server asks to wait, in milliseconds. */
    readonly retryAfter?: number,
  ) {
    super(detail || code)
  }

  /** The workspace has no room for it: the same request passes when there is some again. */
  get full(): boolean {
    return this.status === 403 && this.code.endsWith('-limit-reached')
  }

  /** Nothing is wrong with the request: the same one may pass later. */
  get temporary(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500
  }
}

export const unreachable = (traceId: string) => new ApiError(0, 'unreachable', '', traceId)

/** The error of an answer that is not a success. Answers that are no problem documents get the code `http-<status>`. */
export async function problemOf(answer: Response, traceId: string): Promise<ApiError> {
  const body = await problemBody(answer)
  const wait = Number(answer.headers.get('Retry-After'))
  return new ApiError(
    answer.status,
    body.code ?? `http-${answer.status}`,
    body.detail ?? '',
    body.traceId ?? traceId,
    body.field,
    body.current,
    Number.isFinite(wait) && wait > 0 ? wait * 1000 : undefined,
  )
}

async function problemBody(answer: Response): Promise<Partial<Problem> & { current?: Note }> {
  if (!answer.headers.get('Content-Type')?.includes('json')) return {}
  try {
    const body: unknown = await answer.json()
    return typeof body === 'object' && body !== null ? body : {}
  } catch {
    return {}
  }
}
