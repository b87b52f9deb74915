/** Faults that are met often, by name: `POST /_sim/faults/NAME`. docs/simulator.md has the table. */
import { z } from 'zod'
import { FaultScript } from './faults.ts'

export const namedFaults = {
  refused: { route: 'refresh', error: 'invalid_grant' },
  wrong_credentials: { route: 'token', error: 'invalid_client' },
  timeout: { route: 'refresh', before_ms: 60_000, process: false },
  timeout_spent: { route: 'refresh', after_ms: 60_000 },
  reset_spent: { route: 'refresh', reset: 'after' },
  reset_mid_body: { route: 'refresh', reset: 'mid_body' },
  bad_gateway: { route: 'refresh', status: 502, body: '<h1>Bad gateway</h1>' },
  bad_gateway_spent: { route: 'refresh', status: 502, process: true },
  rate_limit: { route: 'token', status: 429, headers: { 'Retry-After': '30' } },
  cut_json: { route: 'refresh', cut_at_bytes: 60 },
  drip: { route: 'refresh', drip_ms: 1000 },
  huge_answer: { route: 'user_info', size_bytes: 100_000_000 },
  bad_expiry: { route: 'refresh', set: { expires_in: -1 }, omit: ['refresh_token'] },
  another_person: { route: 'refresh', set: { open_id: 'other' } },
  redirect: { route: 'exchange', redirect: 'http://127.0.0.1:9/' },
  bad_picture: { route: 'avatar', content_type: 'text/html', body: '<script>alert(1)</script>' },
  too_many_drafts: { route: 'upload', error: 'spam_risk_too_many_pending_share' },
  chunk_reset: { route: 'chunk', reset: 'after' },
  chunk_lost: { route: 'chunk', status: 502 },
} as const satisfies Readonly<Record<string, FaultScript>>
export type FaultName = keyof typeof namedFaults

/** How often it is met, whom, and where: the rest is in the name. */
export const NamedFault = z.strictObject(FaultScript.pick({ times: true, match: true }).shape).extend({
  route: FaultScript.shape.route.optional().describe('Another route than its usual one'),
})
export type NamedFault = z.input<typeof NamedFault>

/** @returns undefined for a name that there is not */
export function scriptOf(name: string, { route, ...how }: NamedFault): FaultScript | undefined {
  if (!Object.hasOwn(namedFaults, name)) return undefined
  const script: FaultScript = namedFaults[name as FaultName]
  return { ...script, ...how, route: route ?? script.route }
}
