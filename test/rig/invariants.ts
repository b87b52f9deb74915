// I1 to I7 of the guarantees, asked after every fault: TikTok's own records against the database, what readers were told, and everything
// that was written anywhere.
import type { Rig } from './rig.ts'

/** What is looked at: a rig, or a world in one process. */
export type Watched = Pick<Rig, 'tiktok' | 'sql' | 'vault' | 'accounts' | 'readings' | 'secrets' | 'logs'>

export interface Expected {
  /** accounts whose refresh met a crash, a pause or an ambiguous answer: their refresh token may be presented twice (I1) */
  excused?: readonly string[]
  /** accounts that may need their person, with the reason that must be given (I2); all others have to be active */
  down?: Readonly<Record<string, string>>
  /** acknowledged disconnects (I6) */
  disconnected?: readonly string[]
  /** people who were connecting again: a grant of theirs may be the new one */
  reconnecting?: readonly string[]
  /** people whose tokens may have died with a process: a grant of theirs that was disconnected then has no token left to revoke it with */
  lost?: readonly string[]
  /** within which every call has to be answered (I7): for benchmarks, as in a test a busy machine would decide */
  deadlineMs?: number | undefined
}

/** @returns one sentence per violation; none is what every fault has to leave behind */
export async function violations(rig: Watched, expected: Expected = {}): Promise<string[]> {
  const {
    excused = [],
    down = {},
    disconnected = [],
    reconnecting = [],
    lost = [],
    deadlineMs = Number.POSITIVE_INFINITY,
  } = expected
  const found: string[] = []
  const people = new Map(rig.accounts.map((account) => [account.person, account]))
  const gone = new Set(disconnected)

  // I1: presented again after TikTok had spent it.
  const mayRepeat = new Set(excused)
  for (const { person, presented } of rig.tiktok.stats.report().double_spends) {
    const account = people.get(person)
    if (!account || !mayRepeat.has(account.id))
      found.push(`I1: a refresh token of ${account?.id ?? person} came ${presented} times`)
  }
  const { rotation } = rig.tiktok.settings
  if (rotation === 'strict' && rig.tiktok.stats.report().max_processed_per_refresh_token > 1)
    found.push('I1: a refresh token was processed twice')

  // I2 and I6: what is stored against what lives.
  const rows = await rig.sql<
    {
      id: string
      status: string
      reason: string | null
      generation: number | null
      sealed: string | null
      access: string | null
      pending: number
    }[]
  >`
    select a.id, a.status, a.status_reason as reason, t.generation, t.sealed_refresh_token as sealed, t.sealed_access_token as access,
      (select count(*)::int from revocations r where r.account_id = a.id) as pending
    from accounts a left join token_sets t on t.account_id = a.id`
  const stored = new Map(rows.map((row) => [row.id, row]))
  for (const account of rig.accounts) {
    const row = stored.get(account.id)
    if (!row) {
      found.push(`I2: ${account.id} is not in the database`)
    } else if (gone.has(account.id)) {
      if (row.status !== 'disconnected' || row.sealed !== null)
        found.push(`I6: ${account.id} is ${row.status} after its disconnect`)
      const person = rig.tiktok.people.findByEither(account.openId)
      const alive = person ? rig.tiktok.grants.ofPerson(person).length : 0
      if (alive > 0 && row.pending === 0 && !reconnecting.includes(account.person) && !lost.includes(account.person))
        found.push(`I6: the grant of ${account.id} lives and nobody will revoke it`)
    } else if (row.status === 'active') {
      if (row.sealed === null || row.generation === null) {
        found.push(`I2: ${account.id} is active without a token`)
        continue
      }
      const place = { subject: row.id, generation: row.generation }
      const refreshToken = rig.vault.open({ purpose: 'refresh_token', ...place }, row.sealed)
      if (!rig.tiktok.grants.isLive(refreshToken)) found.push(`I2: ${account.id} is active with a dead refresh token`)
      if (down[account.id]) found.push(`I2: ${account.id} is active, expected ${down[account.id]}`)
    } else if (down[account.id] !== row.reason) {
      found.push(`I2: ${account.id} is ${row.status}{${row.reason}}, expected ${down[account.id] ?? 'active'}`)
    }
  }

  // I3, I6 and I7: what readers were told.
  for (const { accountId, wrong, ms } of rig.readings) {
    if (wrong) found.push(`I3: ${accountId} was answered with ${wrong}`)
    if (ms > deadlineMs) found.push(`I7: a read of ${accountId} took ${Math.round(ms)} ms`)
  }

  // I4: never more than the limit in any 24 hours; late commits are flagged.
  const [{ most = 0 } = {}] = await rig.sql<{ most: number }[]>`
    select coalesce(max(n), 0)::int as most from (
      select (select count(*) from uploads v where v.tiktok_user = u.tiktok_user and not v.late and v.committed_at is not null
        and v.committed_at > u.committed_at - interval '24 hours' and v.committed_at <= u.committed_at) as n
      from uploads u where u.committed_at is not null) as windows`
  if (most > 20) found.push(`I4: ${most} uploads in 24 hours`)

  found.push(...(await secretsIn(rig)))
  return found
}

/** I5: in logs and in every row of the database, in clear and in the usual encodings. */
async function secretsIn(rig: Watched): Promise<string[]> {
  const tables = await rig.sql<{ name: string }[]>`
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind = 'r'`
  const places: [string, string][] = [['the logs', rig.logs()]]
  for (const { name } of tables) {
    const rows = await rig.sql.unsafe<{ text: string }[]>(`select r::text as text from "${name}" r limit 20000`)
    places.push([`table ${name}`, rows.map(({ text }) => text).join('\n')])
  }
  const someTokens = rig.readings.flatMap(({ accessToken }) => accessToken ?? []).slice(-20)
  const needles = [...rig.secrets, ...someTokens].filter((secret) => secret.length >= 8).flatMap(encodings)
  const found: string[] = []
  for (const [place, text] of places) {
    if (/\b(act|rft|clt)\.[A-Za-z0-9_-]{20}/.test(text)) found.push(`I5: a token of TikTok's is in ${place}`)
    if (needles.some((needle) => text.includes(needle))) found.push(`I5: a secret is in ${place}`)
  }
  return found
}

function encodings(secret: string): string[] {
  const bytes = Buffer.from(secret)
  return [
    secret,
    encodeURIComponent(secret),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ]
}
