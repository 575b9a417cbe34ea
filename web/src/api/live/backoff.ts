/** How long to wait before attempt n (from 0): up to 0.5, 1, 2 ... 30 s, jittered so that a crowd spreads out. */
export function backoff(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(30_000, 500 * 2 ** Math.min(attempt, 10))
  return Math.round(ceiling * (0.3 + 0.7 * random()))
}
