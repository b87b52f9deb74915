// Numbers and times as people of a language write them. The page has no script and does not know the reader's time zone, so it shows
// how far away a time is, and exact times in UTC.

export interface Formats {
  /** @returns such as `1,234` */
  count(value: number): string
  /** @returns such as `November 22, 2026` */
  day(at: Date): string
  /** @returns such as `a, b, and c` */
  list(items: string[]): string
  /** @returns such as `3 hours ago`, `in 20 minutes`, `now` */
  distance(at: Date, now: Date): string
  /** @returns such as `in 3 hours (14:05 UTC)`; without a date, because it is used for the next 24 hours */
  upcoming(at: Date, now: Date): string
  /** @returns such as `7 minutes`, never less than one, or `3 hours` */
  duration(seconds: number): string
}

export function formatsOf(language: string): Formats {
  const figures = new Intl.NumberFormat(language)
  const distances = new Intl.RelativeTimeFormat(language, { numeric: 'auto' })
  const clock = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: 'UTC' })
  const days = new Intl.DateTimeFormat(language, { dateStyle: 'long', timeZone: 'UTC' })
  const lists = new Intl.ListFormat(language)
  const minutes = new Intl.NumberFormat(language, { style: 'unit', unit: 'minute', unitDisplay: 'long' })
  const hours = new Intl.NumberFormat(language, { style: 'unit', unit: 'hour', unitDisplay: 'long' })

  function distance(at: Date, now: Date): string {
    const seconds = (at.getTime() - now.getTime()) / 1000
    const size = Math.abs(seconds)
    if (size < 45) return distances.format(0, 'second')
    if (size < 45 * 60) return distances.format(rounded(seconds / 60), 'minute')
    if (size < 22 * 3600) return distances.format(rounded(seconds / 3600), 'hour')
    return distances.format(rounded(seconds / 86_400), 'day')
  }

  return {
    count: (value) => figures.format(value),
    day: (at) => days.format(at),
    list: (items) => lists.format(items),
    distance,
    upcoming: (at, now) => `${distance(at, now)} (${clock.format(at)} UTC)`,
    duration: (seconds) =>
      seconds < 7200 ? minutes.format(Math.max(1, Math.round(seconds / 60))) : hours.format(Math.floor(seconds / 3600)),
  }
}

/** Rounds away from zero, so that a time ahead is never called now. */
const rounded = (value: number): number => Math.sign(value) * Math.max(1, Math.round(Math.abs(value)))
