import { ApiError, problemOf, unreachable } from './problem'
import { newTrace, type Trace } from './trace'

export interface Request {
  method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  query?: Record<string, string | number | boolean | undefined>
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
  /** The action this belongs to; a new one when left out. */
  trace?: Trace
}

/** Sends one request and answers with its JSON body (undefined for 204). Throws ApiError, and AbortError when aborted. */
export type Send = <T>(path: string, request?: Request) => Promise<T>

const timeout = 30_000

/** A Send without credentials. */
export function sender(fetcher: typeof fetch = (...args) => fetch(...args)): Send {
  return async function send<T>(path: string, request: Request = {}): Promise<T> {
    const trace = request.trace ?? newTrace()
    const answer = await attempt(fetcher, path, request, trace)
    if (!answer.ok) throw await problemOf(answer, trace.id)
    if (answer.status === 204) return undefined as T
    try {
      return (await answer.json()) as T
    } catch (err) {
      if (request.signal?.aborted) throw err
      throw unreachable(trace.id) // the connection broke inside the answer, or something else than the gateway answered
    }
  }
}

async function attempt(fetcher: typeof fetch, path: string, request: Request, trace: Trace): Promise<Response> {
  const limit = AbortSignal.timeout(timeout)
  try {
    return await fetcher(path + queryOf(request.query), {
      method: request.method ?? 'GET',
      headers: {
        Accept: 'application/json',
        ...(request.body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...request.headers,
        traceparent: trace.parent(),
      },
      body: request.body === undefined ? undefined : JSON.stringify(request.body),
      credentials: 'same-origin',
      signal: request.signal ? AbortSignal.any([request.signal, limit]) : limit,
    })
  } catch (err) {
    if (request.signal?.aborted) throw err
    throw unreachable(trace.id)
  }
}

function queryOf(query: Request['query'] = {}): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') params.set(name, String(value))
  }
  const text = params.toString()
  return text && `?${text}`
}

interface Tokens {
  /** A token that is good for now; renews it first when it is about to end. */
  token(): Promise<string>
  /** A newer token than the one that was refused. */
  renew(refused: string): Promise<string>
}

/** A Send on behalf of the person who is signed in. A refused token is renewed and the request sent once more. */
export function authorized(send: Send, tokens: Tokens): Send {
  return async function authorizedSend<T>(path: string, request: Request = {}): Promise<T> {
    const traced = { ...request, trace: request.trace ?? newTrace() }
    const bearing = (token: string) =>
      send<T>(path, { ...traced, headers: { ...traced.headers, Authorization: `Bearer ${token}` } })
    const token = await tokens.token()
    try {
      return await bearing(token)
    } catch (err) {
      if (!(err instanceof ApiError) || err.status !== 401) throw err
      return bearing(await tokens.renew(token))
    }
  }
}
