import { ApiError } from '@/api/problem'

/** What can be told better by its code than by its status. */
const words: Record<string, string> = {
  'workspace-suspended': 'suspended',
  'requests-limit-reached': 'requestsLimit',
  'members-limit-reached': 'membersLimit',
  'notes-limit-reached': 'notesLimit',
  'storage-limit-reached': 'storageLimit',
}

/** Which words of `error.*` explain a failed request. */
export function explanationOf(error: ApiError): string {
  const own = words[error.code]
  if (own) return own
  if (error.status === 0) return 'unreachable'
  if (error.status === 429) return 'tooMany'
  if (error.status === 403) return 'forbidden'
  if (error.status === 404) return 'notFound'
  if (error.status === 412) return 'stale'
  if (error.status === 413) return 'tooLarge'
  if (error.status === 408 || (error.status >= 502 && error.status <= 504)) return 'unavailable'
  if (error.status >= 500) return 'internal'
  return ''
}

/** An error of a request as it is; anything else is a defect of this program and thrown on. */
export function apiErrorOf(err: unknown): ApiError {
  if (err instanceof ApiError) return err
  throw err
}
