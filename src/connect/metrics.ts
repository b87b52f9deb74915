// What operators count of connects: people who leave for TikTok, and the codes they come back with.
import type { Meter } from '../meter.ts'

export type ConnectMetrics = ReturnType<typeof connectMetrics>

export function connectMetrics({ counter, gauge }: Meter) {
  return {
    exchanges: counter({
      name: 'code_exchanges_total',
      help: "Code exchanges by TikTok's answer",
      labels: { outcome: ['granted', 'not_sent', 'ambiguous', 'throttled', 'refused', 'client_refused'] },
      query: 'sum by (outcome) (rate(code_exchanges_total[15m]))',
    }),
    narrowed: counter({
      name: 'authorizations_narrowed_total',
      help: 'Authorization requests for TIKTOK_REQUIRED_SCOPES alone, because TikTok refused the others or did not bring the person back',
      labels: { cause: ['refused', 'remembered', 'returned'] },
      query: 'sum(increase(authorizations_narrowed_total[1h])) > 0',
    }),
    departures: gauge({
      name: 'tiktok_departures_without_return',
      help: 'People in a row who left for TikTok and did not come back, of all replicas; a long run means that TikTok shows them an error page',
      query: 'max(tiktok_departures_without_return) >= 5',
    }),
  }
}
