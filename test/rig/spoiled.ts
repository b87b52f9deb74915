// A database or a role whose settings are as far from what the service needs as they can be.
import postgres from 'postgres'

/** Each would break something: dates, bytes, numbers, texts, names of tables, or the time that a statement has. */
export const hostile = {
  datestyle: 'German',
  intervalstyle: 'iso_8601',
  timezone: 'Pacific/Chatham',
  bytea_output: 'escape',
  extra_float_digits: '-15',
  client_encoding: 'LATIN1',
  standard_conforming_strings: 'off',
  search_path: 'elsewhere',
  array_nulls: 'off',
  transform_null_equals: 'on',
  exit_on_error: 'on',
  client_min_messages: 'debug1',
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
  default_transaction_deferrable: 'on',
  statement_timeout: '1ms',
  lock_timeout: '1ms',
  idle_in_transaction_session_timeout: '1ms',
  idle_session_timeout: '400ms',
  transaction_timeout: '900ms',
  synchronous_commit: 'off',
  plan_cache_mode: 'force_custom_plan',
}

/**
 * @param subject such as `database x`
 * @param but settings that are left alone
 */
export async function spoil(url: string, subject: string, but: string[] = []): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  await sql.unsafe('create schema if not exists elsewhere')
  const known = new Set((await sql<{ name: string }[]>`select lower(name) as name from pg_settings`).map(({ name }) => name))
  for (const [name, value] of Object.entries(hostile))
    if (!but.includes(name) && known.has(name)) await sql.unsafe(`alter ${subject} set ${name} = '${value}'`)
  await sql.end()
}
