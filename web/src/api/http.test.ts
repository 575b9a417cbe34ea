import { describe, expect, it, vi } from 'vitest'
import { authorized, sender } from './http'
import { ApiError } from './problem'

const json = (body: unknown, status = 200, type = 'application/json') =>
  new Response(JSON.stringify(body), { status, headers: { 'Content-Type': type } })

function fetching(...answers: (Response | Error)[]) {
  return vi.fn<typeof fetch>(async () => {
    const answer = answers.shift()!
    if (answer instanceof Error) throw answer
    return answer
  })
}

const headersOf = (call: Parameters<typeof fetch>) => new Headers(call[1]?.headers)

describe('a request', () => {
  it('carries a fresh sampled trace and its JSON', async () => {
    const fetcher = fetching(json({ ok: true }), json({ ok: true }))
    const send = sender(fetcher)
    expect(await send('/a', { method: 'POST', query: { q: 'ü &', none: undefined }, body: { x: 1 } })).toEqual({ ok: true })
    await send('/a')
    const [first, second] = fetcher.mock.calls.map((call) => headersOf(call).get('traceparent'))
    expect(first).toMatch(/^00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    expect(second).not.toBe(first)
    expect(fetcher.mock.calls[0]![0]).toBe('/a?q=%C3%BC+%26')
    expect(headersOf(fetcher.mock.calls[0]!).get('Content-Type')).toBe('application/json')
    expect(headersOf(fetcher.mock.calls[1]!).get('Content-Type')).toBeNull()
  })

  it('fails with the problem of the server', async () => {
    const problem = { code: 'invalid-title', detail: 'too long', traceId: 'abc', field: 'title' }
    const send = sender(fetching(json(problem, 400, 'application/problem+json')))
    await expect(send('/a')).rejects.toMatchObject({ status: 400, code: 'invalid-title', traceId: 'abc', field: 'title', temporary: false })
  })

  it('fails in its own words where the answer is no problem document', async () => {
    const send = sender(fetching(new Response('<html>', { status: 502, headers: { 'Retry-After': '3' } })))
    await expect(send('/a')).rejects.toMatchObject({ status: 502, code: 'http-502', temporary: true, retryAfter: 3_000 })
  })

  it('is unreachable without an answer, under its own trace', async () => {
    const fetcher = fetching(new TypeError('network'))
    const err = await sender(fetcher)('/a').catch((e: unknown) => e)
    expect(err).toBeInstanceOf(ApiError)
    expect(err).toMatchObject({ status: 0, code: 'unreachable', temporary: true })
    expect(headersOf(fetcher.mock.calls[0]!).get('traceparent')).toContain((err as ApiError).traceId)
  })

  it('takes an answer that is not JSON for no answer', async () => {
    const portal = new Response('<html>sign in to the wifi', { headers: { 'Content-Type': 'text/html' } })
    await expect(sender(fetching(portal))('/a')).rejects.toMatchObject({ code: 'unreachable' })
  })

  it('says nothing of its own when it was aborted', async () => {
    const abort = new AbortController()
    abort.abort()
    const fetcher = fetching(new DOMException('aborted', 'AbortError'))
    await expect(sender(fetcher)('/a', { signal: abort.signal })).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('an authorized request', () => {
  it('renews a refused token once and stays in its trace', async () => {
    const fetcher = fetching(json({}, 401), json({ ok: true }))
    const send = authorized(sender(fetcher), {
      token: () => Promise.resolve('old'),
      renew: (refused) => Promise.resolve(`${refused}-renewed`),
    })
    expect(await send('/a')).toEqual({ ok: true })
    const headers = fetcher.mock.calls.map(headersOf)
    expect(headers.map((h) => h.get('Authorization'))).toEqual(['Bearer old', 'Bearer old-renewed'])
    const traces = headers.map((h) => h.get('traceparent')!.split('-')[1])
    expect(traces[0]).toBe(traces[1])
  })

  it('gives up after the second refusal', async () => {
    const send = authorized(sender(fetching(json({}, 401), json({}, 401))), {
      token: () => Promise.resolve('a'),
      renew: () => Promise.resolve('b'),
    })
    await expect(send('/a')).rejects.toMatchObject({ status: 401 })
  })
})
