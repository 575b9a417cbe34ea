const steps: [Intl.RelativeTimeFormatUnit, number][] = [
  ['minute', 60],
  ['hour', 3_600],
  ['day', 86_400],
]
const week = 7 * 86_400

/** When something happened, in words as short as they can be: 5 min. ago, yesterday, 3 Mar, 3 Mar 2024. */
export function relativeDate(iso: string, now: number, language: string, justNow: string): string {
  const then = Date.parse(iso)
  const seconds = Math.max(0, (now - then) / 1000)
  if (seconds < 60) return justNow
  if (seconds < week) {
    const [unit, size] = steps.findLast(([, size]) => seconds >= size)!
    return new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'narrow' }).format(-Math.floor(seconds / size), unit)
  }
  const sameYear = new Date(then).getFullYear() === new Date(now).getFullYear()
  return new Intl.DateTimeFormat(language, { day: 'numeric', month: 'short', year: sameYear ? undefined : 'numeric' }).format(then)
}

export const fullDate = (iso: string, language: string) =>
  new Intl.DateTimeFormat(language, { dateStyle: 'full', timeStyle: 'short' }).format(Date.parse(iso))
