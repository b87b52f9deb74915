// Makes TikTok's answer durable before anything else looks at it: a sealed journal entry first, then one statement. From the moment TikTok
// answered, the new refresh token exists nowhere else in the world.

import type { Db } from '../db/client.ts'
import { restoreTokenSets } from '../db/recoveries.ts'
import { type SaveOutcome, saveTokenSet } from '../db/token-sets.ts'
import { AnsweredRefresh } from '../journal/entries.ts'
import { databaseRewound, type Epoch } from '../journal/epoch.ts'
import type { Journal } from '../journal/journal.ts'
import type { StoredEntry } from '../journal/sealing.ts'
import type { Config } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'
import { sealExpiry } from '../vault/deciding-rows.ts'
import type { Vault } from '../vault/vault.ts'
import type { TokenMetrics } from './metrics.ts'
import type { Recording } from './recording.ts'
import type { Revocations } from './revoke.ts'
import { step } from './steps.ts'

export interface RecordDeps {
  db: Db
  vault: Vault
  journal: Journal
  epoch: Pick<Epoch, 'metOlderRow'>
  recording: Recording
  revocations: Revocations
  log: Log
  metrics: TokenMetrics
  config: { tiktok: Pick<Config['tiktok'], 'requiredScopes'> }
}

/**
 * Journals an answered refresh, saves it and tells the journal. While the database is away, the answer stays in memory and on
 * disk and is retried until the process ends.
 *
 * @returns 'discarded' when the account was disconnected or connected anew meanwhile
 * @throws ServiceError storage_unavailable only when the process ends first; the journal is then replayed at the next start
 */
export function keep(deps: RecordDeps, answer: AnsweredRefresh): Promise<'refreshed' | 'discarded'> {
  const { journal, recording } = deps
  const kept = async () => {
    const { accountId, attemptId } = answer
    const generation = answer.generation + 1
    const written = await journal.write({ kind: 'refresh', subject: accountId, generation, body: answer })
    step('refresh.journalled', accountId)
    const about = { subject: accountId, attemptId, inJournal: written.durable }
    const outcome = await recording.untilSaved(about, (again) => save(deps, answer, again))
    step('refresh.saved', accountId)
    journal.recorded(written, { accountId, generation })
    return outcome === 'saved' || outcome === 'recovered' ? 'refreshed' : 'discarded'
  }
  return recording.track(kept())
}

/**
 * Records what an earlier process was told and could not record. Safe to repeat on any replica: the save is guarded by the spent
 * generation and knows its own attempt.
 */
export async function replayRefresh(deps: RecordDeps, entry: StoredEntry): Promise<void> {
  const answer = AnsweredRefresh.parse(entry.body)
  const outcome = await save(deps, answer, true)
  deps.log.warn('journalled refresh was replayed', { accountId: answer.accountId, generation: answer.generation, outcome })
  deps.journal.settled(entry)
}

/** @param alone what failed once in company is tried by itself: a row that somebody holds must not hold up the others */
async function save(deps: RecordDeps, answer: AnsweredRefresh, alone: boolean): Promise<SaveOutcome> {
  const { db, vault, log, metrics, config, revocations } = deps
  const place = { subject: answer.accountId, generation: answer.generation + 1 }
  const next = {
    sealedAccessToken: vault.seal({ purpose: 'access_token', ...place }, answer.accessToken),
    sealedRefreshToken: vault.seal({ purpose: 'refresh_token', ...place }, answer.refreshToken),
    sealedExpiry: sealExpiry(vault, place.subject, place.generation, answer.accessExpiresAt),
    accessExpiresAt: answer.accessExpiresAt,
    refreshExpiresAt: answer.refreshExpiresAt,
    lifetimeSeconds: answer.lifetimeSeconds,
    scopes: answer.scopes,
    lostRequiredScope: config.tiktok.requiredScopes.some((scope) => !answer.scopes.includes(scope)),
  }
  const { accountId, attemptId } = answer
  const outcome = await saveTokenSet(db, { accountId, spentGeneration: answer.generation, attemptId, ...next }, { alone })
  const about = { accountId: answer.accountId, generation: answer.generation + 1 }
  switch (outcome) {
    case 'double_spend':
      metrics.exactlyOnceViolations.inc()
      log.fatal('refresh token was spent twice', { ...about, attemptId: answer.attemptId })
      break
    case 'recovered':
      log.info('account recovered', about)
      break
    case 'gone':
      // Disconnected while TikTok was answering: no token may outlive a disconnect (S48), unless the person has reconnected.
      log.info('late refresh was discarded', about)
      await revocations.refuse(answer.openId, {
        holder: { accountId: answer.accountId },
        reason: 'late_refresh',
        accessToken: answer.accessToken,
        refreshToken: answer.refreshToken,
        accessExpiresAt: answer.accessExpiresAt,
      })
      break
    case 'replaced':
      // Reconnected meanwhile. Dropped but not revoked: a revocation is per person and app, so it would end the new grant too
      // (docs/tiktok.md §3).
      log.info('late refresh was discarded', { ...about, reason: 'connected anew' })
      break
    case 'behind': {
      // The database went back while TikTok was answering. What we hold is newer than whatever it has.
      await deps.epoch.metOlderRow(answer.accountId)
      const [restored] = await restoreTokenSets(db, [
        { accountId, attemptId, ...next, generation: place.generation, actor: 'service' },
      ])
      if (restored?.outcome === 'unknown') throw databaseRewound() // its connect is in a journal: this entry waits for it
      return 'saved'
    }
    case 'saved':
      log.info('token refreshed', about)
  }
  return outcome
}
