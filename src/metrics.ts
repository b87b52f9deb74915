// All metrics of one process, by subject. Each subject says its own beside what it counts; here they only come together.
import { fleetMetrics } from './background/fleet.ts'
import { loopMetrics } from './background/metrics.ts'
import { connectMetrics } from './connect/metrics.ts'
import { databaseMetrics } from './db/metrics.ts'
import { deliveryMetrics } from './events/metrics.ts'
import { httpMetrics } from './http/metrics.ts'
import { noticeMetrics } from './inbound/metrics.ts'
import { journalMetrics } from './journal/metrics.ts'
import { openRegistry } from './meter.ts'
import { refusalMetrics } from './refusals.ts'
import { readinessMetrics } from './replica/readiness.ts'
import { replicaMetrics } from './replica/replica.ts'
import { tiktokMetrics } from './tiktok/metrics.ts'
import { tokenMetrics } from './token/metrics.ts'
import { uploadMetrics } from './uploads/metrics.ts'

export type Metrics = ReturnType<typeof createMetrics>

export function createMetrics() {
  const { registry, definitions, meter } = openRegistry()
  return {
    registry,
    definitions,
    ...httpMetrics(meter('Requests')),
    ...tokenMetrics(meter('Access tokens and refreshes')),
    ...tiktokMetrics(meter('Calls to TikTok')),
    ...connectMetrics(meter('Connects')),
    ...uploadMetrics(meter('Uploads')),
    ...deliveryMetrics(meter('Events')),
    ...noticeMetrics(meter("TikTok's notices")),
    ...databaseMetrics(meter('Database')),
    ...journalMetrics(meter('Rotation journal')),
    ...readinessMetrics(meter('Readiness')),
    ...replicaMetrics(meter('Build, replicas and vault')),
    ...fleetMetrics(meter('All accounts together')),
    ...loopMetrics(meter('Background loops')),
    ...refusalMetrics(meter('Security')),
  }
}
