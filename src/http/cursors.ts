// Cursors of lists: opaque to callers, and checked, so that a wrong one is refused and never reads as an empty page.
import { crc32 } from 'node:zlib'
import { z } from 'zod'

/** Bound to its list: a cursor of another one does not fit. */
const checksum = (list: string, position: string) => crc32(`${list}:${position}`).toString(16).padStart(8, '0')

/**
 * @param list which list it belongs to
 * @param position what a row of this list is found by
 * @returns the schema of the cursor, which gives the position, and the way back
 */
export function cursorOf(list: string, position: RegExp) {
  const schema = z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,128}$/)
    .transform((text, check): string => {
      const opened = Buffer.from(text, 'base64url').toString('latin1')
      const [check8, place] = [opened.slice(0, 8), opened.slice(8)]
      if (position.test(place) && check8 === checksum(list, place)) return place
      check.addIssue({ code: 'custom', message: 'must be the `next_cursor` of a page of this list' })
      return z.NEVER
    })
    .describe('`next_cursor` of the page before, as it was given')
  const write = (place: string) => Buffer.from(checksum(list, place) + place).toString('base64url')
  return { schema, write }
}
