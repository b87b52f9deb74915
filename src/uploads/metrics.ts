// What operators count of upload slots.
import type { Meter } from '../meter.ts'

export type UploadMetrics = ReturnType<typeof uploadMetrics>

export function uploadMetrics({ counter }: Meter) {
  return {
    slots: counter({
      name: 'upload_slots_total',
      help: 'Upload slots by what became of them: `reserved`, `committed`, `late` (committed after its expiry, past the limit perhaps), `released`; `exhausted` and `closed` were refused, by our count or by TikTok',
      labels: { outcome: ['reserved', 'committed', 'late', 'released', 'exhausted', 'closed'] },
      query: 'sum by (outcome) (increase(upload_slots_total[1h]))',
    }),
    closures: counter({
      name: 'upload_closures_total',
      help: 'How often a release said that TikTok takes no more uploads of an account for now',
      query: 'sum(increase(upload_closures_total[1h]))',
    }),
  }
}
