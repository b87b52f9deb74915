// The optional tier service: an external server that says what an owner may have (TIER_SERVICE_URL). Only a clear answer within
// the deadline counts.
import { Agent, type Dispatcher } from 'undici'
import { z } from 'zod'
import { type CallOutcome, call, headerOf } from '../outbound/call.ts'
import { textOf } from '../outbound/coding.ts'
import { type ForwardProxy, wayOut } from '../outbound/proxy.ts'

/** Somebody else's word on what an owner may have. */
export interface TierService {
  tierOf(ownerId: string): Promise<TierAnswer>
  close(): Promise<void>
}

/** A limit goes before a tier's own; `silent`: it did not say, in words that count. */
export type TierAnswer = { kind: 'told'; tier: string | null; accountLimit: number | null } | { kind: 'silent'; reason: string }

/** A person waits for it, with a TikTok exchange still to come. */
export const deadlineMs = 2000
export const maxBytes = 16 * 1024
/** How long a lowered tier may go unnoticed; long enough for one page and one connect to ask once. */
export const rememberedMs = 30_000
const rememberedOwners = 10_000

/** Other fields are its own business; without one of these two it has said nothing. */
const Said = z
  .object({
    tier: z
      .string()
      .regex(/^[a-z0-9_-]{1,32}$/)
      .optional(),
    account_limit: z.int().min(0).max(1_000_000).optional(),
  })
  .refine(({ tier, account_limit: limit }) => tier !== undefined || limit !== undefined)

export interface TierServiceOptions {
  url: string
  token?: string | undefined
  proxy?: ForwardProxy | undefined
  timeoutMs?: number
  /** instead of our own pool, for tests */
  dispatcher?: Dispatcher
  /** a monotonic clock in milliseconds */
  now?: () => number
}

/** @returns a client that remembers answers for half a minute; a failure is never remembered, and never hidden by an old answer */
export function openTierService(options: TierServiceOptions): TierService {
  const { url, token, proxy, timeoutMs = deadlineMs, now = () => performance.now() } = options
  const dispatcher =
    options.dispatcher ?? new Agent({ connections: 16, pipelining: 1, connect: wayOut(proxy, { timeout: timeoutMs }) })
  const remembered = new Map<string, { answer: TierAnswer; untilMs: number }>()
  const asking = new Map<string, Promise<TierAnswer>>()

  async function ask(ownerId: string): Promise<TierAnswer> {
    const outcome = await call(dispatcher, {
      url: tierAddressOf(url, ownerId),
      method: 'GET',
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
      maxBytes,
      totalMs: timeoutMs,
    })
    const answer = judgeTier(outcome)
    if (answer.kind === 'told') remember(ownerId, answer)
    return answer
  }

  function remember(ownerId: string, answer: TierAnswer): void {
    remembered.delete(ownerId)
    remembered.set(ownerId, { answer, untilMs: now() + rememberedMs })
    const [oldest] = remembered.keys()
    if (remembered.size > rememberedOwners && oldest !== undefined) remembered.delete(oldest)
  }

  return {
    tierOf(ownerId) {
      const known = remembered.get(ownerId)
      if (known && known.untilMs > now()) return Promise.resolve(known.answer)
      // Fifty connects of one owner at once are one question.
      const question = asking.get(ownerId) ?? ask(ownerId).finally(() => asking.delete(ownerId))
      asking.set(ownerId, question)
      return question
    },
    async close() {
      if (options.dispatcher === undefined) await dispatcher.destroy()
    },
  }
}

/** What an answer says about an owner, if it counts. */
export function judgeTier(outcome: CallOutcome): TierAnswer {
  if (outcome.kind !== 'answered') return { kind: 'silent', reason: outcome.reason }
  // Not 404 either: an owner it does not know is not an owner it gives a place to (S60).
  if (outcome.status !== 200) return { kind: 'silent', reason: `status_${outcome.status}` }
  const said = Said.safeParse(parse(textOf(outcome.body, headerOf(outcome.headers, 'content-type'))))
  if (!said.success) return { kind: 'silent', reason: 'foreign_body' }
  return { kind: 'told', tier: said.data.tier ?? null, accountLimit: said.data.account_limit ?? null }
}

/** One path segment below the configured URL, whatever the owner's id is made of; a query in the configuration stays. */
export function tierAddressOf(base: string, ownerId: string): URL {
  const url = new URL(base)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${encodeURIComponent(ownerId)}`
  return url
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
