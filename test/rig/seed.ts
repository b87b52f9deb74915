// Connected accounts by the thousand, without walking anybody through a browser: grants from the simulator, sealed by the vault,
// written as a connect would have written them.
import type postgres from 'postgres'
import type { Simulator } from 'tiktok-simulator'
import { newId } from '../../src/ids.ts'
import { sealExpiry, sealIdentity } from '../../src/vault/deciding-rows.ts'
import type { Vault } from '../../src/vault/vault.ts'

export interface Seeded {
  id: string
  openId: string
  person: string
}

export interface SeedOptions<N extends number = number> {
  count: N
  /** how long the access tokens still live; below 0: expired that long ago */
  secondsLeft?: number
  /** when the background refreshes; null, the default, leaves it to readers */
  dueInSeconds?: number | null
  owner?: string
}

/** A handful is told one by one, so that nobody has to look whether they are there. */
interface Handful {
  1: [Seeded]
  2: [Seeded, Seeded]
  3: [Seeded, Seeded, Seeded]
  4: [Seeded, Seeded, Seeded, Seeded]
}
export type Several<N extends number> = N extends keyof Handful ? Handful[N] : Seeded[]

interface Seedbed {
  sql: postgres.Sql
  vault: Vault
  tiktok: Simulator
}

const batchSize = 5000
const scopes = ['user.info.basic', 'user.info.profile', 'user.info.stats', 'video.upload']

export async function seedOne(seedbed: Seedbed, options: Omit<SeedOptions, 'count'> = {}): Promise<Seeded> {
  const [one] = await seedAccounts(seedbed, { ...options, count: 1 })
  return one
}

export async function seedAccounts<N extends number>(
  { sql, vault, tiktok }: Seedbed,
  { count, secondsLeft = 7200, dueInSeconds = null, owner = 'user_42' }: SeedOptions<N>,
): Promise<Several<N>> {
  await sql`insert into owners (id) values (${owner}) on conflict do nothing`
  const all: Seeded[] = []
  for (let left: number = count; left > 0; left -= batchSize) {
    const grants = tiktok.issueGrants({
      count: Math.min(left, batchSize),
      scopes: [...scopes] as never,
      access_expires_in: Math.max(0, secondsLeft),
    })
    const rows = grants.map((grant) => {
      const place = { subject: newId('acc'), generation: 1 }
      return {
        id: place.subject,
        openId: grant.open_id,
        person: grant.person,
        access: vault.seal({ purpose: 'access_token', ...place }, grant.access_token),
        refresh: vault.seal({ purpose: 'refresh_token', ...place }, grant.refresh_token),
        identity: sealIdentity(vault, { accountId: place.subject, openId: grant.open_id, ownerId: owner }),
        expiry: sealExpiry(vault, place.subject, 1, new Date(Date.now() + (secondsLeft + 60) * 1000)),
        refreshSeconds: grant.refresh_expires_in,
      }
    })
    await sql`
      with given as (
        select * from unnest(${rows.map((row) => row.id)}::text[], ${rows.map((row) => row.openId)}::text[], ${rows.map((row) => row.access)}::text[],
          ${rows.map((row) => row.refresh)}::text[], ${rows.map((row) => row.refreshSeconds)}::int[], ${rows.map((row) => row.identity)}::text[],
          ${rows.map((row) => row.expiry)}::text[]) as g (id, open_id, access, refresh, refresh_seconds, identity, expiry)
      ), account as (
        insert into accounts (id, owner_id, open_id, sealed_identity, status, account_type, attested_at, attestation_version, age_confirmed_at, scopes)
        select id, ${owner}, open_id, identity, 'active', 'creator', now(), '2026-11', now(), ${scopes} from given
      )
      insert into token_sets (account_id, generation, client_key, sealed_access_token, sealed_refresh_token, sealed_expiry, access_expires_at, refresh_expires_at, lifetime_seconds,
        saved_attempt_id, due_at)
      select id, 1, 'seeded', access, refresh, expiry, now() + make_interval(secs => ${secondsLeft}), now() + make_interval(secs => refresh_seconds), 7200,
        'att_seed_' || id, now() + make_interval(secs => ${dueInSeconds}) from given`
    all.push(...rows.map(({ id, openId, person }) => ({ id, openId, person })))
  }
  return all as Several<N>
}
