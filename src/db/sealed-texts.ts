// Every column that holds a sealed text, and the place each is sealed for: what a reseal has to walk. The id of the key stands readable in
// a sealed text (vault/vault.ts), so the database can count and find by it without opening anything.
import type { Purpose } from '../vault/keyring.ts'
import type { Db, Sql } from './client.ts'

export interface SealedTable {
  readonly name: string
  /** its primary key */
  readonly key: string
  /** SQL for what the texts are sealed for */
  readonly subject: string
  readonly generation: string
  readonly columns: readonly { readonly name: string; readonly purpose: Purpose }[]
}

const tokens = [
  { name: 'sealed_access_token', purpose: 'access_token' },
  { name: 'sealed_refresh_token', purpose: 'refresh_token' },
] as const

export const sealedTables: readonly SealedTable[] = [
  {
    name: 'token_sets',
    key: 'account_id',
    subject: 'account_id',
    generation: 'generation',
    columns: [...tokens, { name: 'sealed_expiry', purpose: 'expiry' }],
  },
  {
    name: 'accounts',
    key: 'id',
    // vault/deciding-rows.ts says the same
    subject: `id || '|' || length(open_id) || '|' || open_id || owner_id`,
    generation: '0',
    columns: [{ name: 'sealed_identity', purpose: 'identity' }],
  },
  { name: 'revocations', key: 'id', subject: 'subject', generation: 'generation', columns: tokens },
  { name: 'audit_days', key: 'day', subject: 'day', generation: 'rows', columns: [{ name: 'sealed_hash', purpose: 'audit' }] },
  { name: 'api_keys', key: 'id', subject: 'id', generation: '0', columns: [{ name: 'sealed_facts', purpose: 'api_key' }] },
  {
    name: 'connect_sessions',
    key: 'id',
    subject: 'id',
    generation: '0',
    columns: [
      { name: 'sealed_code', purpose: 'authorization_code' },
      { name: 'sealed_verifier', purpose: 'code_verifier' },
    ],
  },
  {
    name: 'authorization_requests',
    key: 'state_hash',
    subject: 'session_id',
    generation: '0',
    columns: [{ name: 'sealed_verifier', purpose: 'code_verifier' }],
  },
]

export interface SealedRow {
  key: string
  subject: string
  generation: number
  /** in the order of the table's columns */
  texts: (string | null)[]
}

/** A count reads every row; so does the walk. */
const slow = { deadlineMs: 600_000 }

/** @returns how many sealed texts there are under each key id */
export async function countSealedTexts(db: Db): Promise<Map<string, number>> {
  const each = sealedTables.flatMap(({ name, columns }) =>
    columns.map((column) => `select split_part(${column.name}, '.', 2) as key from ${name} where ${column.name} is not null`),
  )
  const rows = await db.run(
    'count_sealed_texts',
    (sql) =>
      sql<{ keyId: string; count: number }[]>`
        select key as key_id, count(*) as count from (${sql.unsafe(each.join(' union all '))}) as sealed group by 1 order by 1`,
    slow,
  )
  return new Map(rows.map(({ keyId, count }) => [keyId, count]))
}

/** One page of the rows that hold a text under another key, in the order of their primary key. */
export async function readSealedRows(
  db: Db,
  table: SealedTable,
  page: { notUnder: string; after: string; limit: number },
): Promise<SealedRow[]> {
  const texts = table.columns.map(({ name }) => name)
  const foreign = (sql: Sql) =>
    texts.map((text) => sql`split_part(${sql.unsafe(text)}, '.', 2) <> ${page.notUnder}`).reduce((a, b) => sql`${a} or ${b}`)
  return db.run(
    'read_sealed_rows',
    (sql) => sql<SealedRow[]>`
      select ${sql.unsafe(`${table.key} as key, ${table.subject} as subject, ${table.generation} as generation, array[${texts.join(', ')}] as texts`)}
      from ${sql.unsafe(table.name)}
      where ${sql.unsafe(table.key)} > ${page.after} and (${foreign(sql)})
      order by ${sql.unsafe(table.key)} limit ${page.limit}`,
    slow,
  )
}

/**
 * Puts resealed texts in the place of those they were made from, row by row only where these still stand: a refresh, a connect or
 * a disconnect in between wins. The generation is not touched, so no refresh in flight is lost over it.
 *
 * @returns the keys of the rows that were changed
 */
export async function replaceSealedRows(
  db: Db,
  table: SealedTable,
  rows: { key: string; old: (string | null)[]; fresh: (string | null)[] }[],
): Promise<Set<string>> {
  const columns = table.columns.map(({ name }, index) => ({ name, old: `old_${index}`, fresh: `fresh_${index}` }))
  const set = columns.map(({ name, fresh }) => `${name} = r.${fresh}`).join(', ')
  const names = columns.flatMap(({ old, fresh }) => [old, fresh]).join(', ')
  const stands = columns.map(({ name, old }) => `t.${name} is not distinct from r.${old}`).join(' and ')
  const changed = await db.run('replace_sealed_rows', (sql) => {
    const arrays = columns
      .flatMap((_, index) => [rows.map(({ old }) => old[index] ?? null), rows.map(({ fresh }) => fresh[index] ?? null)])
      .map((texts) => sql`, ${texts}::text[]`)
      .reduce((a, b) => sql`${a}${b}`)
    return sql<{ key: string }[]>`
      update ${sql.unsafe(table.name)} t set ${sql.unsafe(set)}
      from unnest(${rows.map(({ key }) => key)}::text[]${arrays}) as r (key, ${sql.unsafe(names)})
      where t.${sql.unsafe(table.key)} = r.key and ${sql.unsafe(stands)}
      returning t.${sql.unsafe(table.key)} as key`
  })
  return new Set(changed.map(({ key }) => key))
}
