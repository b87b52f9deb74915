// Which scopes TikTok is asked for. An app may not have the optional ones (docs/tiktok.md §1), and a single such scope makes TikTok refuse
// everything: at the callback, or on a page of its own from which nobody comes back.

import { countDepartures, readNarrowed, rememberRefusedScopes, type ScopeQuestion } from '../db/authorization-requests.ts'
import type { Db } from '../db/client.ts'
import type { Config } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'
import { digest } from '../vault/digest.ts'
import type { ConnectMetrics } from './metrics.ts'

type App = Pick<Config['tiktok'], 'clientKey' | 'scopes' | 'requiredScopes'>

/** Long enough for most people not to be sent to TikTok twice, short enough for an approval at TikTok to show the same day. */
const rememberedSeconds = 3600
/** Fewer are people who changed their minds. */
const manyDepartures = 5

/** @param bindings what this browser keeps of the states it left with */
export function scopeQuestion(
  { clientKey, scopes, requiredScopes }: App,
  bindings: readonly string[],
  refused: boolean,
): ScopeQuestion {
  const areOptional = scopes.some((scope) => !requiredScopes.includes(scope))
  // Another setting or another app is another question, and nothing is known of it.
  const memory = areOptional ? `optional_scopes ${clientKey} ${scopes.join()}` : null
  return { memory, refused, bindingHashes: bindings.map(digest) }
}

export const scopesAsked = ({ scopes, requiredScopes }: App, requiredOnly: boolean) => (requiredOnly ? requiredScopes : scopes)

/** Whether a browser that goes to TikTok now is sent with the required scopes alone. */
export async function asksRequiredOnly(
  { db, config }: { db: Db; config: { tiktok: App } },
  sessionId: string,
  bindings: readonly string[],
): Promise<boolean> {
  return (await readNarrowed(db, sessionId, scopeQuestion(config.tiktok, bindings, false))) !== null
}

/** TikTok refused the optional scopes: remembered for all replicas, and said to whoever can change the setting. */
export async function rememberRefusal({ db, log, config }: { db: Db; log: Log; config: { tiktok: App } }): Promise<void> {
  const { memory } = scopeQuestion(config.tiktok, [], true)
  if (memory === null || !(await rememberRefusedScopes(db, memory, rememberedSeconds))) return
  const optional = config.tiktok.scopes.filter((scope) => !config.tiktok.requiredScopes.includes(scope))
  log.error('TikTok does not give this app all of TIKTOK_SCOPES: take out what the app has not, or have it approved', {
    name: optional.join(),
    retryAfterSeconds: rememberedSeconds,
  })
}

/** Who leaves for TikTok and never comes back has met TikTok's own error page, of which we hear nothing: a run of them is an alarm. */
export async function measureDepartures({ db, log, metrics }: { db: Db; log: Log; metrics: ConnectMetrics }): Promise<void> {
  const { count, first } = await countDepartures(db, manyDepartures)
  metrics.departures.set(count)
  if (first)
    log.error(
      "people left for TikTok and none came back: compare TIKTOK_SCOPES, TIKTOK_CLIENT_KEY, the redirect URI and, in a sandbox, the target users with TikTok's portal",
      { count, reason: 'scopes, redirect_uri, client_key, sandbox_user' },
    )
}
