// What operators count of requests, and of what callers are checked against: Redis for shared limits, the identity provider's keys.
import { type FailureCode, failureCodes } from '../failures.ts'
import type { Meter } from '../meter.ts'

export type HttpMetrics = ReturnType<typeof httpMetrics>

export function httpMetrics({ counter, gauge, histogram }: Meter) {
  return {
    requests: counter({
      name: 'http_requests_total',
      help: 'Requests answered, by the pattern of their route',
      labels: { method: null, route: null, status: null },
      query: 'sum by (route, status) (rate(http_requests_total[5m]))',
    }),
    requestSeconds: histogram({
      name: 'http_request_duration_seconds',
      help: 'From the first byte of a request to the last of its answer',
      labels: { method: null, route: null },
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      query: 'histogram_quantile(0.99, sum by (le, route) (rate(http_request_duration_seconds_bucket[5m])))',
    }),
    failures: counter({
      name: 'http_failures_total',
      help: 'Requests that failed, by the code of the failure (docs/problems.md)',
      labels: { code: failureCodes as readonly FailureCode[] },
      query: 'topk(5, sum by (code) (rate(http_failures_total[5m])))',
    }),
    redis: gauge({
      name: 'redis_state',
      help: '1 for the present state of the shared rate limits: `off` without REDIS_URL, `up`, or `away` while every request passes',
      labels: { state: ['off', 'up', 'away'] },
      query: 'redis_state{state="away"} == 1',
    }),
    jwksFetches: counter({
      name: 'jwks_fetches_total',
      help: "Fetches of the identity provider's keys (JWT_JWKS_URL)",
      labels: { outcome: ['fetched', 'failed'] },
      query: 'sum by (outcome) (rate(jwks_fetches_total[15m]))',
    }),
    jwksFetchedAt: gauge({
      name: 'jwks_last_fetch_timestamp_seconds',
      help: 'When those keys were last fetched, as Unix time; 0: not yet',
      query: 'time() - (jwks_last_fetch_timestamp_seconds > 0)',
    }),
  }
}
