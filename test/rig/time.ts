// Time passes for the service when every stored moment recedes: all its decisions are made by the database's clock. What a
// process remembers by itself grows old by its monotonic clock.
import type postgres from 'postgres'

interface Teardown {
  teardown(work: () => unknown): unknown
}

/** What this process measures with its monotonic clock is that much older, until the test ends. */
export function letTimePass(t: Teardown, ms: number): void {
  const now = performance.now.bind(performance)
  performance.now = () => now() + ms
  t.teardown(() => {
    performance.now = now
  })
}

export async function recede(sql: postgres.Sql, seconds: number): Promise<void> {
  const tables = await sql<{ table: string; columns: string[] }[]>`
    select c.table_name as "table", array_agg(quote_ident(c.column_name)::text) as columns
    from information_schema.columns c join pg_class k on k.relname = c.table_name and k.relkind = 'r' and not k.relispartition
    where c.table_schema = 'public' and c.data_type = 'timestamp with time zone' group by 1`
  for (const { table, columns } of tables) {
    await sql.unsafe(
      `update "${table}" set ${columns.map((name) => `${name} = ${name} - make_interval(secs => ${seconds})`).join(', ')}`,
    )
  }
}
