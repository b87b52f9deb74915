// What several routes ask for in the same words: ids, owners, labels.
import { z } from 'zod'
import { noOwner } from '../db/owners.ts'

/**
 * Identity providers give anything: `auth0|5f7c`, addresses, URLs. What is refused would not come through whole (half a character, `.` and `..`, which
 * vanish from a URL) or would show as something else (controls, line breaks, changes of direction). Characters are code points.
 */
const ownerId = /^(?!\.{1,2}$)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]{1,128}$/u

export const OwnerId = z
  .string()
  .refine((text) => ownerId.test(text), 'must be 1 to 128 characters without control characters, and neither `.` nor `..`')
  .refine((text) => text !== noOwner, `must not be \`${noOwner}\`, which is nobody`)
  .meta({ minLength: 1, maxLength: 128 })
  .describe(
    "The caller's own id of a person or team, compared as it is sent: no case is folded and no Unicode form changed. Percent-encoded in a path or query, `+` and `/` too",
  )

/** What people type: bounded, one line, no control characters, well-formed. */
export const Label = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must be one line of text')

/** Any language there is a tag for: what a web app knows of its person is passed on as it is, and must not stop them. */
export const LanguageTag = z
  .string()
  .max(100)
  .refine(isLanguageTag, 'must be a language tag as in BCP 47, such as `de` or `pt-BR`')

/** Ids are opaque to callers: one that we never made is not found, whatever it looks like. */
export const Id = z.string().regex(/^[\w-]{1,64}$/)

/** What stands in a path: snake_case at the wire, camelCase inside. */
export const accountInPath = { account_id: Id.describe('The account, `acc_…`') }
export const AccountParams = z.strictObject(accountInPath).transform(({ account_id: accountId }) => ({ accountId }))

/** What was done through a link, in the timeline and in the audit. */
export const Via = z
  .object({
    connect_session: z.string().describe('The connect session of the link'),
    key_id: z.string().describe('The API key that made it'),
  })
  .meta({ id: 'Via', description: 'Through which link something was done' })

/** A number in a query, where everything is text; an integer in the description. */
export const wholeNumber = (range: { minimum: number; maximum: number; usual: number }, description: string) =>
  z
    .preprocess(
      (text) => (typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : text),
      z.int().min(range.minimum).max(range.maximum),
    )
    .prefault(range.usual)
    .describe(`${description}, from ${range.minimum} to ${range.maximum}`)

export const pageLimit = (usual: number) => wholeNumber({ minimum: 1, maximum: 200, usual }, 'How many on a page')

/** One or several with commas between them. A parameter that is sent twice is refused (S41). */
export const oneOrMoreOf = <const Values extends readonly [string, ...string[]]>(values: Values) =>
  z
    .preprocess((text) => (typeof text === 'string' ? text.split(',') : null), z.array(z.enum(values)).max(values.length))
    .optional()
    .describe('One of these, or several with commas between them')

function isLanguageTag(text: string): boolean {
  try {
    return new Intl.Locale(text).language !== ''
  } catch {
    return false
  }
}
