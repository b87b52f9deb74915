// Numbers and times as people of a language write them. The page has no script and does not know the reader's time zone, so it shows
// how far away a time is, and exact times in UTC.
import { texts } from './words.ts'

const { lang } = texts
const figures = new Intl.NumberFormat(lang)
const distances = new Intl.RelativeTimeFormat(lang, { numeric: 'auto' })
const clock = new Intl.DateTimeFormat(lang, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: 'UTC' })
const days = new Intl.DateTimeFormat(lang, { dateStyle: 'long', timeZone: 'UTC' })
const lists = new Intl.ListFormat(lang)
const minutes = new Intl.NumberFormat(lang, { style: 'unit', unit: 'minute', unitDisplay: 'long' })
const hours = new Intl.NumberFormat(lang, { style: 'unit', unit: 'hour', unitDisplay: 'long' })

export const count = (value: number): string => figures.format(value)

/** @returns such as `November 22, 2026` */
export const day = (at: Date): string => days.format(at)

/** @returns such as `a, b, and c` */
export const list = (items: string[]): string => lists.format(items)

/** @returns such as `3 hours ago`, `in 20 minutes`, `now` */
export function distance(at: Date, now: Date): string {
  const seconds = (at.getTime() - now.getTime()) / 1000
  const size = Math.abs(seconds)
  if (size < 45) return distances.format(0, 'second')
  if (size < 45 * 60) return distances.format(rounded(seconds / 60), 'minute')
  if (size < 22 * 3600) return distances.format(rounded(seconds / 3600), 'hour')
  return distances.format(rounded(seconds / 86_400), 'day')
}

/** @returns such as `in 3 hours (14:05 UTC)`; without a date, because it is used for the next 24 hours */
export const upcoming = (at: Date, now: Date): string => `${distance(at, now)} (${clock.format(at)} UTC)`

/** @returns such as `7 minutes`, never less than one, or `3 hours` */
export const duration = (seconds: number): string =>
  seconds < 7200 ? minutes.format(Math.max(1, Math.round(seconds / 60))) : hours.format(Math.floor(seconds / 3600))

/** Rounds away from zero, so that a time ahead is never called now. */
const rounded = (value: number): number => Math.sign(value) * Math.max(1, Math.round(Math.abs(value)))
