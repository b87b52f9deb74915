// Uploaders in a soak. Each wants one slot, insists with the same key until it is told, uploads or gives up, and says so until it is heard,
// at whatever replica is there. What they were told has to be so in the end (F41, F42).
import { setTimeout as pause } from 'node:timers/promises'
import type { Replica } from './replica.ts'
import type { Rig } from './rig.ts'

export type Intent = 'commit' | 'release' | 'forget'

/** Nobody hears, or the answer was lost, or the service asks to come back. */
const unheard = [0, 503]
/** The account is gone, or its grant: there is nothing to insist on. */
const over = [409, 410]

/** @param replicas those that run at the moment, also dying ones: an uploader does not know */
export function gatherUploaders(rig: Rig, replicas: ReadonlyMap<string, Replica>, found: string[]) {
  const reserved = new Map<string, string>()
  const committed = new Set<string>()
  const released = new Set<string>()
  let turn = 0

  async function insist(path: string, body: object, headers: Record<string, string> = {}) {
    for (let tries = 0; tries < 40; tries++) {
      const [...all] = replicas.values()
      const replica = all[turn++ % all.length]
      const answer = replica && (await rig.call(replica, 'POST', path, body, headers))
      if (answer && !unheard.includes(answer.status)) return answer
      await pause(250)
    }
    return undefined // the soak may have ended under it
  }

  return {
    async upload(accountId: string, key: string, intent: Intent): Promise<void> {
      const path = `/accounts/${accountId}/uploads`
      const headers = { 'idempotency-key': key }
      const first = await insist(path, {}, headers)
      if (!first || over.includes(first.status) || first.status === 429) return
      const id = String(first.body.id)
      // 200 where an earlier try was answered and the answer was lost.
      if (first.status !== 201 && first.status !== 200)
        return void found.push(`F40: a reservation was answered ${first.status} ${first.body.code}`)
      reserved.set(id, key)
      const again = await insist(path, {}, headers)
      if (again?.status === 200 && again.body.id !== id) found.push(`F42: ${key} reserved ${id} and ${again.body.id}`)
      if (again && again.status !== 200 && !over.includes(again.status))
        found.push(`F42: ${key} has its slot and was told ${again.status} ${again.body.code}`)

      if (intent === 'forget') return
      const end = await insist(`${path}/${id}/${intent}`, intent === 'commit' ? { publish_id: `v_${key}` } : {})
      if (end?.status === 200) (intent === 'commit' ? committed : released).add(id)
      else if (end && !over.includes(end.status))
        found.push(`F41: the ${intent} of ${id} was answered ${end.status} ${end.body.code}`)
    },

    /** @returns how many were reserved, committed, released */
    async settle(): Promise<Record<string, number>> {
      const rows = await rig.sql<{ id: string; key: string; publishId: string | null; wasReleased: boolean }[]>`
        select id, idempotency_key as key, publish_id as "publishId", released_at is not null as "wasReleased" from uploads`
      const byId = new Map(rows.map((row) => [row.id, row]))
      for (const [id, key] of reserved) {
        const row = byId.get(id)
        if (row?.key !== key) found.push(`F42: ${id} was promised to ${key} and is ${row ? `that of ${row.key}` : 'nowhere'}`)
        if (committed.has(id) && row?.publishId !== `v_${key}`) found.push(`F41: ${id} was committed, and is not`)
        if (released.has(id) && !row?.wasReleased) found.push(`F41: ${id} was released, and is not`)
      }
      return { reserved: reserved.size, committed: committed.size, released: released.size }
    },
  }
}
