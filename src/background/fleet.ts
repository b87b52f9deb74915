// Figures of all accounts together. One replica counts them every half minute and leaves them in the database; each reads them there, so
// that any of them can be scraped and a scrape itself asks for nothing.
import type { Db } from '../db/client.ts'
import { accountStatuses, statusReasons } from '../db/codes.ts'
import { claimFleet, type FleetFigures, measureFleet, readFleet, storeFleet } from '../db/fleet.ts'
import type { Meter } from '../meter.ts'

const countedEverySeconds = 30

export type FleetMetrics = ReturnType<typeof fleetMetrics>

export function fleetMetrics({ gauge }: Meter) {
  let countedAtMs = performance.now()
  const figures = {
    accounts: gauge({
      name: 'accounts',
      help: 'Accounts by status and reason, of all replicas; `none`: the status needs no reason',
      labels: { status: accountStatuses, reason: ['none', ...statusReasons] },
      query: 'sum by (status) (max by (status, reason) (accounts))',
    }),
    grantsEnding: gauge({
      name: 'grants_ending',
      help: 'Grants whose refresh token ends within so many days unless it is refreshed, of all replicas (counted up to 100,000)',
      labels: { within: ['7d', '30d'] },
      query: 'max(grants_ending{within="7d"})',
    }),
    uploadAccounts: gauge({
      name: 'upload_accounts',
      help: 'TikTok accounts that take no upload now, of all replicas (counted up to 100,000): by our count of the day, or because TikTok said so',
      labels: { state: ['exhausted', 'closed'] },
      query: 'max by (state) (upload_accounts)',
    }),
    revocationsWaiting: gauge({
      name: 'revocations_waiting',
      help: 'Grants that are to be revoked at TikTok and are not yet, of all replicas (counted up to 10,000)',
      query: 'max(revocations_waiting)',
    }),
    oldestRevocation: gauge({
      name: 'revocations_oldest_age_seconds',
      help: 'How long the oldest of them has been waiting',
      query: 'max(revocations_oldest_age_seconds) > 86400',
    }),
    noticesWaiting: gauge({
      name: 'tiktok_notices_waiting',
      help: "TikTok's notices that are kept and not settled yet, of all replicas (counted up to 10,000)",
      query: 'max(tiktok_notices_waiting)',
    }),
    oldestNotice: gauge({
      name: 'tiktok_notices_oldest_age_seconds',
      help: 'How long the oldest of them has been waiting',
      query: 'max(tiktok_notices_oldest_age_seconds) > 600',
    }),
    replicas: gauge({
      name: 'service_replicas',
      help: 'Processes that serve this database and said so in the last 15 seconds, of all replicas',
      query: 'max(service_replicas) - count(service_ready == 1)',
    }),
    keySeals: gauge({
      name: 'vault_key_seals',
      help: 'Seals made with each vault key that the database knows, of all replicas',
      labels: { key: null },
      query: 'max by (key) (vault_key_seals) / 2^32',
    }),
  }
  return {
    ...figures,
    fleetAge: gauge({
      name: 'fleet_gauges_age_seconds',
      help: 'How long ago the figures under this heading were counted, by whichever replica did',
      query: 'min(fleet_gauges_age_seconds) > 120',
      read: (age) => age.set((performance.now() - countedAtMs) / 1000),
    }),
    showFleet(found: FleetFigures, ageSeconds: number): void {
      countedAtMs = performance.now() - ageSeconds * 1000
      for (const status of accountStatuses)
        for (const reason of ['none', ...statusReasons] as const) {
          const count = found.accounts.find((one) => one.status === status && one.reason === reason)?.count ?? 0
          figures.accounts.set({ status, reason }, count)
        }
      figures.grantsEnding.set({ within: '7d' }, found.grantsEnding.in7Days)
      figures.grantsEnding.set({ within: '30d' }, found.grantsEnding.in30Days)
      figures.uploadAccounts.set({ state: 'exhausted' }, found.uploads.exhausted)
      figures.uploadAccounts.set({ state: 'closed' }, found.uploads.closed)
      figures.revocationsWaiting.set(found.revocations.waiting)
      figures.oldestRevocation.set(found.revocations.oldestSeconds)
      figures.noticesWaiting.set(found.notices.waiting)
      figures.oldestNotice.set(found.notices.oldestSeconds)
      figures.replicas.set(found.replicas)
      figures.keySeals.reset() // a key that was retired is gone
      for (const { keyId, seals } of found.seals) figures.keySeals.set({ key: keyId }, seals)
    },
  }
}

/** One round: counts when it is this process's turn, and shows what was counted last. */
export async function measureTheFleet({ db, metrics }: { db: Db; metrics: FleetMetrics }): Promise<void> {
  if (await claimFleet(db, countedEverySeconds)) await storeFleet(db, await measureFleet(db))
  const counted = await readFleet(db)
  if (counted) metrics.showFleet(counted.figures, counted.ageSeconds)
}
