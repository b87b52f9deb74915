// Whoever else the service talks to, where one is configured: Redis, the identity provider, the tier service, receivers of events and the
// places that audit and traces go to. They are asked what can be asked without telling them anything.
import { judgeTier, tierAddressOf, deadlineMs as tierDeadlineMs } from '../connect/tier-service.ts'
import { askRedis } from '../http/shared-limits.ts'
import { headerOf } from '../outbound/call.ts'
import { textOf } from '../outbound/coding.ts'
import { noAnswer, probe } from '../outbound/probe.ts'
import { isLoopback } from '../outbound/public-address.ts'
import type { Config } from '../settings/config.ts'
import type { DatabaseObservation } from './database.ts'
import { type Finding, fault, type Level, nothing, type Observation, type Patient, skipped, warning } from './finding.ts'

export async function examineRedis({ config, isBad }: Patient): Promise<Observation> {
  if (isBad('REDIS_URL')) return skipped
  if (config.redisUrl === undefined) return nothing
  const url = URL.canParse(config.redisUrl) ? new URL(config.redisUrl) : undefined
  const where = url ? `${url.hostname}:${url.port || 6379}` : 'what REDIS_URL names'
  const why = 'Without it each replica counts its rate limits alone, so callers get them several times.'
  const answer = await askRedis(config.redisUrl)
  const found = (what: string, remedy: string): Observation => ({ findings: [fault(what, why, remedy)], seen: undefined })
  switch (answer) {
    case 'well':
      return { findings: [], seen: where }
    case 'password':
      return found(
        `Redis at ${where} refuses the password of REDIS_URL, or wants one and there is none.`,
        'Correct it: redis://:PASSWORD@HOST:PORT, or redis://USER:PASSWORD@HOST:PORT, with / # ? @ % in it percent-encoded.',
      )
    case 'rights':
      return found(
        `The user of REDIS_URL may not run what rate limits need at ${where}.`,
        'As its administrator: ACL SETUSER NAME +@read +@write +@scripting +@connection ~*',
      )
    case 'replica':
      return found(`Redis at ${where} is a replica and takes no writes.`, 'Name the master in REDIS_URL.')
    case 'loading':
      return found(`Redis at ${where} is still loading.`, 'Wait, and run this again.')
    default:
      return found(
        `Redis at ${where} cannot be reached (${answer}).`,
        answer === 'ECONNREFUSED'
          ? 'Start it, or correct REDIS_URL.'
          : 'Correct REDIS_URL (rediss:// for TLS), or look at what stands between.',
      )
  }
}

export async function examineIdentityProvider({ config, isBad }: Patient): Promise<Observation> {
  const { jwt } = config
  if (isBad('JWT_JWKS_URL')) return skipped
  if (!jwt) return nothing
  const url = new URL(jwt.jwksUrl)
  const where = `${url.host}${url.pathname} (JWT_JWKS_URL)`
  const why = 'Callers that come with a JWT are answered 503 until its keys can be had.'
  const outcome = await probe({ url, method: 'GET' })
  const found = (what: string, remedy: string): Observation => ({ findings: [fault(what, why, remedy)], seen: undefined })
  if (outcome.kind !== 'answered') {
    const { what, remedy } = noAnswer(outcome, where)
    return found(what, remedy)
  }
  const correct = `Correct JWT_JWKS_URL: \`curl ISSUER/.well-known/openid-configuration\` names it as jwks_uri.`
  if (outcome.status !== 200) return found(`${where} answers ${outcome.status}.`, correct)
  const keys = keysIn(textOf(outcome.body, headerOf(outcome.headers, 'content-type')))
  if (keys === undefined) return found(`${where} answers with something else than a JWKS.`, correct)
  const usable = keys.filter(isUsable)
  if (usable.length === 0)
    return found(
      `${where} lists no key that signs with RS256, ES256 or EdDSA.`,
      'Have the provider sign access tokens with one of these; shared secrets (HS256) are never believed.',
    )
  return { findings: [], seen: `${where}, ${usable.length} keys` }
}

function keysIn(text: string): Record<string, unknown>[] | undefined {
  try {
    const said: unknown = JSON.parse(text)
    const keys = typeof said === 'object' && said !== null && 'keys' in said ? said.keys : undefined
    return Array.isArray(keys) ? keys.filter((key) => typeof key === 'object' && key !== null) : undefined
  } catch {
    return undefined
  }
}

const isUsable = ({ kty, alg, crv, use }: Record<string, unknown>) =>
  use !== 'enc' &&
  ((kty === 'RSA' && (alg === undefined || alg === 'RS256')) ||
    (kty === 'EC' && crv === 'P-256') ||
    (kty === 'OKP' && crv === 'Ed25519'))

/** Asked about an owner that there is, where there is one: about others it may rightly say 404. */
export async function examineTierService(
  { config, isBad }: Patient,
  database: Promise<DatabaseObservation>,
): Promise<Observation> {
  const { serviceUrl, serviceToken } = config.tiers
  if (isBad('TIER_SERVICE_URL', 'TIER_SERVICE_TOKEN')) return skipped
  if (serviceUrl === undefined) return nothing
  const ownerId = (await database).memory?.ownerId
  const { host } = new URL(serviceUrl)
  const where = `${host} (TIER_SERVICE_URL)`
  const why = 'Without its answer no new account is connected.'
  const outcome = await probe({
    url: tierAddressOf(serviceUrl, ownerId ?? 'doctor'),
    method: 'GET',
    ...(serviceToken !== undefined && { headers: { authorization: `Bearer ${serviceToken}` } }),
    timeoutMs: tierDeadlineMs,
    proxy: config.proxy,
  })
  const found = (what: string, remedy: string, make = fault): Observation => ({
    findings: [make(what, why, remedy)],
    seen: where,
  })
  if (outcome.kind !== 'answered') {
    const { what, remedy } = noAnswer(outcome, where)
    return found(what, remedy)
  }
  const { status } = outcome
  if (judgeTier(outcome).kind === 'told') return { findings: [], seen: where }
  if (status === 404 && ownerId === undefined)
    return found(
      `${where} does not know the owner "doctor".`,
      'That may be right: there is no account yet whose owner could be asked about. If it should answer for everybody, correct the path of TIER_SERVICE_URL.',
      warning,
    )
  if (status === 401 || status === 403)
    return found(
      `${where} refuses TIER_SERVICE_TOKEN (status ${status}).`,
      'Set TIER_SERVICE_TOKEN to what that service expects as bearer token.',
    )
  if (status >= 300 && status < 400)
    return found(
      `${where} sends callers elsewhere (status ${status}).`,
      'Set TIER_SERVICE_URL to where it leads: redirects are not followed.',
    )
  if (status === 200)
    return found(
      `${where} answers without a tier or an account_limit.`,
      'It has to answer {"tier":"creator"} or {"account_limit":7} to GET URL/OWNER_ID (docs/integrating.md).',
    )
  return found(
    `${where} answers ${status}.`,
    status === 404 ? 'Correct the path of TIER_SERVICE_URL: GET URL/OWNER_ID is asked.' : 'Look into the log of that service.',
  )
}

/** Their doors are looked at with HEAD: whatever it answers, it is there, and it has been told nothing. */
export async function examineReceivers({ config, isBad }: Patient): Promise<Observation> {
  const { eventWebhooks, auditStream, traceEndpoint } = config
  const targets: Target[] = []
  if (!isBad('EVENT_WEBHOOKS'))
    for (const { url } of eventWebhooks)
      targets.push({
        url: new URL(url),
        variable: 'EVENT_WEBHOOKS',
        level: 'fault',
        why: 'Events wait for it and are given up after days; the feed has them still.',
        publicOnly: !isLoopback(new URL(url).hostname),
        proxy: config.proxy,
      })
  if (auditStream && auditStream.protocol !== 'file:' && !isBad('AUDIT_STREAM'))
    targets.push({
      url: auditStream,
      variable: 'AUDIT_STREAM',
      level: 'fault',
      why: 'The audit waits in the database until it is there.',
      publicOnly: false,
      proxy: config.proxy,
    })
  if (traceEndpoint !== undefined && !isBad('OTEL_EXPORTER_OTLP_ENDPOINT'))
    targets.push({
      url: new URL(traceEndpoint),
      variable: 'OTEL_EXPORTER_OTLP_ENDPOINT',
      level: 'warning',
      why: 'Traces are dropped.',
      publicOnly: false,
    })
  if (targets.length === 0) return isBad('EVENT_WEBHOOKS', 'AUDIT_STREAM') ? skipped : nothing
  const findings = await Promise.all(targets.map(examineTarget))
  return { findings: findings.flat(), seen: [...new Set(targets.map(({ url }) => url.host))].join(', ') }
}

interface Target {
  url: URL
  variable: string
  level: Level
  why: string
  publicOnly: boolean
  /** left out for what is reached without it */
  proxy?: Config['proxy']
}

async function examineTarget({ url, variable, level, why, publicOnly, proxy }: Target): Promise<Finding[]> {
  const where = `${url.host} (${variable})`
  const outcome = await probe({ url, method: 'HEAD', publicOnly, proxy })
  if (outcome.kind !== 'answered') return [{ level, why, ...noAnswer(outcome, where) }]
  if (outcome.status >= 500)
    return [warning(`${where} answers ${outcome.status}.`, why, 'Look into its log, and at the proxy before it.')]
  if (outcome.status >= 300 && outcome.status < 400)
    return [
      fault(
        `${where} sends callers elsewhere (status ${outcome.status}).`,
        why,
        `Set ${variable} to where it leads: redirects are not followed.`,
      ),
    ]
  return []
}
