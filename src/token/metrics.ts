// What operators count of access tokens: those handed out and those that were not, and the refreshes behind them.
import { brakedEndpoints, breakerReasons } from '../db/codes.ts'
import { type FailureCode, failureCodes } from '../failures.ts'
import type { Meter } from '../meter.ts'

/** How a refresh can end: the values of the `outcome` label of `token_refreshes_total`. */
export const refreshOutcomes = [
  'refreshed', // a new token set is recorded
  'yielded', // a neighbour holds the claim: its answer will come
  'sibling_won', // a neighbour was quicker: the token set is newer than the one we were asked to spend
  'transient', // nothing was spent: try again after the wait
  'ambiguous', // TikTok may have spent the token: one more try after the lease
  'rejected', // invalid_grant, believed or in its grace time
  'client_refused', // TikTok refuses our client, which is no account's fault
  'discarded', // the account was disconnected or connected anew meanwhile
] as const
export type RefreshKind = (typeof refreshOutcomes)[number]

/** How asking for a token can end: `ok`, or the code of the failure. */
const vendOutcomes: readonly ('ok' | FailureCode)[] = ['ok', ...failureCodes]

export type TokenMetrics = ReturnType<typeof tokenMetrics>

export function tokenMetrics({ counter, gauge, histogram }: Meter) {
  return {
    vends: counter({
      name: 'token_vends_total',
      help: 'Requests for an access token by what they were answered: `ok`, or the code of the failure; the five 503s are apart',
      labels: { code: vendOutcomes },
      query: 'sum by (code) (rate(token_vends_total{code!="ok"}[5m]))',
    }),
    vendSeconds: histogram({
      name: 'token_vend_duration_seconds',
      help: 'From the arrival of a request for one access token to the end of its answer, a refresh included',
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      query: 'histogram_quantile(0.99, sum by (le) (rate(token_vend_duration_seconds_bucket[5m])))',
    }),
    vended: counter({
      name: 'tokens_vended_total',
      help: 'Access tokens handed out; degraded: TikTok could not be reached, but the present token was still valid',
      labels: { degraded: ['false', 'true'] },
      query: 'sum by (degraded) (rate(tokens_vended_total[5m]))',
    }),
    refreshes: counter({
      name: 'token_refreshes_total',
      help: 'Refreshes by outcome',
      labels: { outcome: refreshOutcomes },
      query: 'sum by (outcome) (rate(token_refreshes_total[5m]))',
    }),
    refreshSeconds: histogram({
      name: 'token_refresh_duration_seconds',
      help: 'From claiming a token set to recording the new one',
      buckets: [0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12],
      query: 'histogram_quantile(0.95, sum by (le) (rate(token_refresh_duration_seconds_bucket[5m])))',
    }),
    refreshTikTokSeconds: histogram({
      name: 'token_refresh_tiktok_seconds',
      help: "TikTok's part of that: from sending the refresh token to the end of the answer",
      buckets: [0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12],
      query: 'sum(rate(token_refresh_tiktok_seconds_sum[5m])) / sum(rate(token_refresh_duration_seconds_sum[5m]))',
    }),
    refreshedInTime: counter({
      name: 'token_refreshes_in_time_total',
      help: 'Recorded refreshes of accounts in use (a token was read in the last day, and not only just now): `before_expiry` when the old access token was still valid',
      labels: { timeliness: ['before_expiry', 'after_expiry'] },
      query:
        'sum(rate(token_refreshes_in_time_total{timeliness="before_expiry"}[1h])) / sum(rate(token_refreshes_in_time_total[1h]))',
    }),
    assumedLifetimes: counter({
      name: 'tiktok_assumed_lifetimes_total',
      help: 'Access tokens whose expires_in was absent or nonsense: ten minutes were assumed',
      query: 'increase(tiktok_assumed_lifetimes_total[1h]) > 0',
    }),
    leasesRunOut: counter({
      name: 'refresh_leases_run_out_total',
      help: 'Claims on a token set whose previous holder never finished',
      query: 'sum(increase(refresh_leases_run_out_total[1h]))',
    }),
    exactlyOnceViolations: counter({
      name: 'exactly_once_violation_total',
      help: 'Observed double spends of a refresh token; anything but 0 is a bug',
      query: 'increase(exactly_once_violation_total[1d]) > 0',
    }),
    unsavedTokens: gauge({
      name: 'unsaved_tokens',
      help: 'Token answers held in memory until the database accepts them',
      query: 'sum(unsaved_tokens)',
    }),
    dueBacklog: gauge({
      name: 'refresh_due_backlog',
      help: 'Token sets whose refresh is due, of all replicas (counted up to 10,000)',
      query: 'max(refresh_due_backlog)',
    }),
    oldestDueSeconds: gauge({
      name: 'refresh_oldest_due_age_seconds',
      help: 'How long the most overdue token set has been waiting, of all replicas',
      query: 'max(refresh_oldest_due_age_seconds) > 300',
    }),
    breakerOpen: gauge({
      name: 'circuit_breaker_open',
      help: '1 while refreshes wait because TikTok refuses our client, throttles us or is down, or refuses the tokens of many accounts at once; one state of all replicas',
      labels: { reason: breakerReasons },
      query: 'max by (reason) (circuit_breaker_open) == 1',
    }),
    brakes: counter({
      name: 'refusal_brakes_total',
      help: 'How often the brake began to hold because TikTok refused the tokens of many accounts at once; page somebody',
      labels: { endpoint: brakedEndpoints },
      query: 'sum by (endpoint) (increase(refusal_brakes_total[10m])) > 0',
    }),
    revocations: counter({
      name: 'revocations_total',
      help: 'Revocations at TikTok by outcome; `postponed` counts each try that has to be repeated',
      labels: { outcome: ['confirmed', 'already_gone', 'given_up', 'postponed'] },
      query: 'sum by (outcome) (rate(revocations_total[15m]))',
    }),
  }
}
