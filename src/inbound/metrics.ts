// What operators count of TikTok's notices.
import type { Meter } from '../meter.ts'

/** What became of a notice: refused or repeated at the door, otherwise as it was settled. */
const noticeOutcomes = [
  ...['refused', 'repeated', 'told', 'disconnected', 'older_than_grant'],
  ...['no_such_account', 'unreadable', 'foreign_client', 'unknown_event'],
]

export type NoticeMetrics = ReturnType<typeof noticeMetrics>

export function noticeMetrics({ counter }: Meter) {
  return {
    notices: counter({
      name: 'tiktok_notices_total',
      help: "TikTok's webhook notices by outcome",
      labels: { outcome: noticeOutcomes },
      query: 'sum by (outcome) (rate(tiktok_notices_total[15m]))',
    }),
  }
}
