// Random ids. crypto.randomUUID is missing on plain-http hosts other than localhost, getRandomValues is everywhere.

const hex = (bytes: Uint8Array) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')

/** As many random bytes as asked for, in lower-case hex; never all zero. */
export function randomHex(bytes: number): string {
  const value = hex(crypto.getRandomValues(new Uint8Array(bytes)))
  return /^0+$/.test(value) ? randomHex(bytes) : value
}
