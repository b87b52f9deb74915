// What several routes ask for in the same words: ids, owners, labels.
import { z } from 'zod'

export const OwnerId = z
  .string()
  .regex(/^(?!\.{1,2}$)[A-Za-z0-9_.:@-]{1,128}$/) // `.` and `..` vanish from a URL
  .describe("The caller's own id of a person or team")

/** What people type: bounded, one line, no control characters, well-formed. */
export const Label = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must be one line of text')

/** Ids are opaque to callers: one that we never made is not found, whatever it looks like. */
export const Id = z.string().regex(/^[\w-]{1,64}$/)

export const AccountParams = z.strictObject({ accountId: Id })
