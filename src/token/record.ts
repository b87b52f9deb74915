// Makes TikTok's answer durable before anything else looks at it: a sealed file first, then one statement, then the file goes. From
// the moment TikTok answered, the new refresh token exists nowhere else in the world.
import { z } from 'zod'
import { type SaveOutcome, saveTokenSet } from '../db/token-sets.ts'
import type { Parts, RefreshOutcome } from '../parts.ts'
import { AnsweredTokens } from './answered.ts'
import { revokeRefused } from './revoke.ts'
import { step } from './steps.ts'
import { tracked, untilSaved } from './until-saved.ts'

const AnsweredRefresh = AnsweredTokens.extend({
  accountId: z.string(),
  /** the generation that was spent */
  generation: z.int(),
  waitSeconds: z.number(),
})
export type AnsweredRefresh = z.infer<typeof AnsweredRefresh>

/**
 * Keeps an answered refresh: spill, save, unspill. While the database is away the answer stays in memory and on disk and is tried
 * again until the process is asked to end.
 *
 * @returns 'refreshed', or 'discarded' when the account was disconnected or connected anew meanwhile
 * @throws ServiceError storage_unavailable only when the process ends first; the spill file is then replayed at the next start
 */
export function keep(parts: Parts, answer: AnsweredRefresh): Promise<RefreshOutcome> {
  const kept = (async (): Promise<RefreshOutcome> => {
    const { accountId, attemptId } = answer
    const spilled = await parts.spill.write({ id: attemptId, kind: 'refresh', subject: accountId, body: answer })
    step('refresh.spilled', accountId)
    const outcome = await untilSaved(parts, { subject: accountId, attemptId, spilled }, () => save(parts, answer))
    step('refresh.saved', accountId)
    await parts.spill.remove(attemptId)
    step('refresh.unspilled', accountId)
    return outcome === 'saved' || outcome === 'recovered' ? { kind: 'refreshed' } : { kind: 'discarded' }
  })()
  return tracked(parts, kept)
}

/**
 * Brings back what an earlier process had been told and could not record. Harmless to repeat and to do beside other replicas: the save is
 * guarded by the generation that was spent, and knows its own attempt.
 */
export async function replayRefresh(parts: Parts, id: string, body: unknown): Promise<void> {
  const answer = AnsweredRefresh.parse(body)
  const outcome = await save(parts, answer)
  parts.log.warn('spilled refresh was replayed', { accountId: answer.accountId, generation: answer.generation, outcome })
  await parts.spill.remove(id)
}

async function save(parts: Parts, answer: AnsweredRefresh): Promise<SaveOutcome> {
  const { db, vault, log, metrics, config } = parts
  const place = { subject: answer.accountId, generation: answer.generation + 1 }
  const outcome = await saveTokenSet(
    db,
    { accountId: answer.accountId, generation: answer.generation, attemptId: answer.attemptId },
    {
      sealedAccessToken: vault.seal({ purpose: 'access_token', ...place }, answer.accessToken),
      sealedRefreshToken: vault.seal({ purpose: 'refresh_token', ...place }, answer.refreshToken),
      accessExpiresAt: answer.accessExpiresAt,
      refreshExpiresAt: answer.refreshExpiresAt,
      lifetimeSeconds: answer.lifetimeSeconds,
      scopes: answer.scopes,
      lostRequiredScope: config.tiktok.requiredScopes.some((scope) => !answer.scopes.includes(scope)),
    },
    answer.waitSeconds,
  )
  const about = { accountId: answer.accountId, generation: answer.generation + 1 }
  if (outcome === 'double_spend') {
    metrics.exactlyOnceViolations.inc()
    log.fatal('refresh token was spent twice', { ...about, attemptId: answer.attemptId })
  } else if (outcome === 'recovered') {
    log.info('account recovered', about)
  } else if (outcome === 'gone') {
    // Disconnected while TikTok was answering: the promise was that no token lives on (S48). Unless the person has connected again since.
    log.info('late refresh was discarded', about)
    await revokeRefused(parts, answer.openId, {
      accountId: answer.accountId,
      reason: 'late_refresh',
      accessToken: answer.accessToken,
      refreshToken: answer.refreshToken,
      accessExpiresAt: answer.accessExpiresAt,
    })
  } else if (outcome === 'replaced') {
    // Reconnected meanwhile. Dropped but not revoked: a revocation is per person and app, so it would end the new grant too
    // (docs/tiktok.md §3).
    log.info('late refresh was discarded', { ...about, reason: 'connected anew' })
  } else {
    log.info('token refreshed', about)
  }
  return outcome
}
