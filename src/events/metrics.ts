// What operators count of events on their way to EVENT_WEBHOOKS.
import type { Meter } from '../meter.ts'

export type DeliveryMetrics = ReturnType<typeof deliveryMetrics>

export function deliveryMetrics({ counter, gauge, histogram }: Meter) {
  return {
    deliveries: counter({
      name: 'event_deliveries_total',
      help: 'Attempts to deliver an event to an endpoint, by outcome; `dead` was the last one',
      labels: { outcome: ['delivered', 'failed', 'gone', 'dead'] },
      query: 'sum by (outcome) (rate(event_deliveries_total[5m]))',
    }),
    deliverySeconds: histogram({
      name: 'event_delivery_duration_seconds',
      help: 'How long a receiver took to answer an attempt',
      buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15],
      query: 'histogram_quantile(0.95, sum by (le) (rate(event_delivery_duration_seconds_bucket[5m])))',
    }),
    deliveriesWaiting: gauge({
      name: 'event_deliveries_waiting',
      help: 'Events that an endpoint has not accepted yet, of all replicas (counted up to 10,000)',
      query: 'max(event_deliveries_waiting)',
    }),
    oldestDeliverySeconds: gauge({
      name: 'event_oldest_delivery_age_seconds',
      help: 'How long the longest of them has been waiting',
      query: 'max(event_oldest_delivery_age_seconds) > 3600',
    }),
    deadLetters: gauge({
      name: 'event_dead_letters',
      help: 'Event deliveries that failed for good, of all replicas (counted up to 10,000); `cli events dead` lists them',
      query: 'max(event_dead_letters) > 0',
    }),
  }
}
