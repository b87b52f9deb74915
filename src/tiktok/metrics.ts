// What operators count of calls to TikTok, by endpoint and by what came back.
import type { Meter } from '../meter.ts'
import { inSpan } from '../tracing/tracing.ts'
import type { TikTok } from './client.ts'

const endpoints = ['exchange', 'refresh', 'revoke', 'user_info', 'avatar'] as const
type Endpoint = (typeof endpoints)[number]

const outcomes = {
  ok: ['granted', 'ok', 'revoked', 'already_gone'],
  /** the person, their token or their link; nothing is wrong with us or TikTok */
  refused: ['refused', 'token_invalid', 'link_expired'],
  client_refused: ['client_refused'],
  throttled: ['throttled'],
  /** not sent, cut off, or not to be understood */
  unavailable: ['not_sent', 'ambiguous', 'unavailable'],
} as const
type Outcome = keyof typeof outcomes
type Kind = (typeof outcomes)[Outcome][number]
const outcomeOf = Object.fromEntries(
  Object.entries(outcomes).flatMap(([outcome, kinds]) => kinds.map((kind) => [kind, outcome])),
) as Record<Kind, Outcome>

export type TikTokMetrics = ReturnType<typeof tiktokMetrics>

export function tiktokMetrics({ counter, histogram }: Meter) {
  return {
    tiktokCalls: counter({
      name: 'tiktok_requests_total',
      help: 'Calls to TikTok by endpoint and outcome; `refused` is about one person, `client_refused` about our app',
      labels: { endpoint: endpoints, outcome: Object.keys(outcomes) as Outcome[] },
      query: 'sum by (endpoint, outcome) (rate(tiktok_requests_total[5m]))',
    }),
    tiktokSeconds: histogram({
      name: 'tiktok_request_duration_seconds',
      help: 'How long a call to TikTok took, with its wait for a connection',
      labels: { endpoint: endpoints },
      buckets: [0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12],
      query: 'histogram_quantile(0.95, sum by (le, endpoint) (rate(tiktok_request_duration_seconds_bucket[5m])))',
    }),
  }
}

/** @returns the same door, with every call counted */
export function measured(tiktok: TikTok, { tiktokCalls, tiktokSeconds }: TikTokMetrics): TikTok {
  async function counted<A extends { kind: Kind }>(endpoint: Endpoint, call: () => Promise<A>): Promise<A> {
    const sentAtMs = performance.now()
    const answer = await inSpan(`tiktok ${endpoint}`, { 'tiktok.endpoint': endpoint }, call, ({ kind }) => kind)
    const isThrottled = 'reason' in answer && answer.reason === 'throttled'
    tiktokCalls.inc({ endpoint, outcome: isThrottled ? 'throttled' : outcomeOf[answer.kind] })
    tiktokSeconds.observe({ endpoint }, (performance.now() - sentAtMs) / 1000)
    return answer
  }
  return {
    ...tiktok,
    exchangeCode: (request) => counted('exchange', () => tiktok.exchangeCode(request)),
    refresh: (refreshToken) => counted('refresh', () => tiktok.refresh(refreshToken)),
    revoke: (accessToken) => counted('revoke', () => tiktok.revoke(accessToken)),
    userInfo: (accessToken, scopes) => counted('user_info', () => tiktok.userInfo(accessToken, scopes)),
    avatar: (url) => counted('avatar', () => tiktok.avatar(url)),
  }
}
