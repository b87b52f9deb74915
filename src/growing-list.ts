// Lists of codes in answers that may get longer: what is there today has names, and a client that checks answers lets others pass.
import { z } from 'zod'

/** Open in the description too, because an older replica shows what a younger one wrote. */
export const growingList = <const Values extends readonly [string, ...string[]]>(values: Values, description: string) =>
  z.union([z.enum(values), z.string()]).describe(`${description}. More may come: leave alone what you do not know`)
