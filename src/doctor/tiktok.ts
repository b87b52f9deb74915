// TikTok: whether it is within reach, whether it takes the app's key and secret, and what it is asked for. Only a token for the app itself is
// asked for, which concerns nobody's account.
import { headerOf } from '../outbound/call.ts'
import { noAnswer, probe } from '../outbound/probe.ts'
import { isLoopback } from '../outbound/public-address.ts'
import type { Config } from '../settings/config.ts'
import { clientRequest, judgeClient } from '../tiktok/oauth.ts'
import { ofClock } from './clock.ts'
import type { DatabaseObservation } from './database.ts'
import { type Finding, fault, type Observation, type Patient, warning } from './finding.ts'
import { looksLikeKey } from './tiktok-app.ts'

export async function examineTikTok(patient: Patient, database: Promise<DatabaseObservation>): Promise<Observation> {
  const { config, isBad } = patient
  const { authBaseUrl, apiBaseUrl } = config.tiktok
  const [page, api] = await Promise.all([
    isBad('TIKTOK_AUTH_BASE_URL') ? [] : examinePage(authBaseUrl, config.proxy),
    isBad('TIKTOK_API_BASE_URL') ? [] : examineApi(patient),
  ])
  const isSimulated = isLoopback(new URL(apiBaseUrl).hostname) // the simulator's app has them all, unless it is told otherwise
  const granted = (await database).memory?.grantedScopes
  const scopes = isBad('TIKTOK_SCOPES') || (isSimulated && !granted) ? [] : ofScopes(config.tiktok.scopes, granted)
  const hosts = [...new Set([authBaseUrl, apiBaseUrl].map((url) => new URL(url).host))]
  return { findings: [...page, ...api, ...scopes], seen: `${hosts.join(' and ')}, asked for ${config.tiktok.scopes.join(', ')}` }
}

/** Any answer will do: what it says to a request without parameters is a page for people. */
async function examinePage(authBaseUrl: string, proxy: Config['proxy']): Promise<Finding[]> {
  const outcome = await probe({ url: new URL('/v2/auth/authorize/', authBaseUrl), method: 'HEAD', proxy })
  if (outcome.kind === 'answered') return []
  const { what, remedy } = noAnswer(outcome, `${new URL(authBaseUrl).host} (TIKTOK_AUTH_BASE_URL)`)
  // People's browsers go there, and not this machine: in many networks only they can.
  return [warning(what, 'People are sent there to allow the access. Only this machine may be kept away from it.', remedy)]
}

async function examineApi({ config, isBad }: Patient): Promise<Finding[]> {
  const app = config.tiktok
  const where = `${new URL(app.apiBaseUrl).host} (TIKTOK_API_BASE_URL)`
  const areUsable = !isBad('TIKTOK_CLIENT_KEY', 'TIKTOK_CLIENT_SECRET')
  const askedAtMs = Date.now()
  const request = areUsable ? clientRequest(app) : { url: new URL('/v2/oauth/token/', app.apiBaseUrl), method: 'HEAD' as const }
  const outcome = await probe({ ...request, proxy: config.proxy })
  const answeredAtMs = Date.now()
  if (outcome.kind !== 'answered') {
    const { what, remedy } = noAnswer(outcome, where)
    return [fault(what, 'No account can be connected, and no token refreshed.', remedy)]
  }
  const said = Date.parse(headerOf(outcome.headers, 'date') ?? '')
  const clock = Number.isNaN(said) ? [] : ofClock('TikTok', new Date(said), askedAtMs, answeredAtMs)
  if (!areUsable) return clock
  const answer = judgeClient(outcome, app)
  if (answer.kind === 'unclear')
    return [
      ...clock,
      warning(
        `${where} does not say whether key and secret are right (${answer.reason}).`,
        'What answers there may not be TikTok, or has trouble just now.',
        'Run this again in a minute. If it stays so, correct TIKTOK_API_BASE_URL, or look at the proxy between.',
      ),
    ]
  if (answer.kind === 'accepted') return clock
  const words = [answer.error, ...(answer.description ? [answer.description] : [])].join(': ').replace(/\.$/, '')
  const trace = answer.logId === undefined ? '' : ` TikTok's support asks for the log id: ${answer.logId}.`
  if (answer.error === 'unsupported_grant_type' || answer.error === 'invalid_scope')
    return [
      ...clock,
      warning(
        `TikTok gives this app no token for itself (${words}).`,
        'So nothing can be told about its key and secret from here.',
        'Connect an account to see.',
      ),
    ]
  const isOdd = !looksLikeKey(app.clientKey)
    ? " TIKTOK_CLIENT_KEY does not look like TikTok's (it begins with aw, or with sbaw for a sandbox): are the two swapped?"
    : ' Key and secret of a sandbox go together, as do those of production.'
  return [
    ...clock,
    fault(
      `TikTok refuses TIKTOK_CLIENT_KEY with TIKTOK_CLIENT_SECRET (${words}).`,
      `No account can be connected, no token refreshed, and no notice verified.${trace}`,
      `Copy both anew from the app's page in TikTok's portal into TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET, and restart.${isOdd}`,
    ),
  ]
}

/** Which scopes the app has TikTok tells nobody; what people were granted does. */
function ofScopes(asked: readonly string[], granted: readonly string[] | undefined): Finding[] {
  const why =
    'If the app has not been given one of them, TikTok refuses everything that is asked for, often on a page of its own and without coming back.'
  if (granted !== undefined) {
    const never = asked.filter((scope) => !granted.includes(scope))
    if (never.length === 0) return []
    return [
      warning(
        `None of the newest accounts was granted ${never.join(', ')}, which TIKTOK_SCOPES asks for.`,
        why,
        `Look under Scopes in TikTok's portal. Until they are there: TIKTOK_SCOPES=${asked.filter((scope) => granted.includes(scope)).join(',')}`,
      ),
    ]
  }
  const withApproval = asked.filter((scope) => !['user.info.basic', 'video.upload'].includes(scope))
  if (withApproval.length === 0) return []
  return [
    warning(
      `TIKTOK_SCOPES asks for ${withApproval.join(', ')}, which a new app does not have.`,
      why,
      `Look under Scopes in TikTok's portal. Until they are approved: TIKTOK_SCOPES=${asked.filter((scope) => !withApproval.includes(scope)).join(',')}`,
    ),
  ]
}
