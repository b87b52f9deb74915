// What TikTok answered when it gave tokens. It can wait in a spill file for hours, so it says everything a save needs.
import { z } from 'zod'

export const AnsweredTokens = z.object({
  attemptId: z.string(),
  openId: z.string(),
  accessToken: z.string(),
  refreshToken: z.string(),
  scopes: z.array(z.string()),
  accessExpiresAt: z.coerce.date(),
  refreshExpiresAt: z.coerce.date().nullable(),
  lifetimeSeconds: z.int(),
})
