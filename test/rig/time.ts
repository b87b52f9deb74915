// Time passes for the service when every stored moment recedes: all its decisions are made by the database's clock. What a
// process remembers by itself grows old by its monotonic clock.
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

/** Anything that sends a statement as it stands. */
interface Sender {
  unsafe(statement: string): PromiseLike<unknown>
}

const century = 100 * 365 * 86_400 // seconds

/** @param only the tables it passes for, each with the rows it passes for; all rows of all tables unless said */
export async function recede(sql: Sender, seconds: number, only?: Record<string, string>): Promise<void> {
  const named = Object.keys(only ?? {}).map((table) => `'${table}'`)
  const rows = Object.entries(only ?? {}).map(([table, condition]) => `when '${table}' then $where$ where ${condition}$where$`)
  // A moment that is part of a key goes by way of another century: row by row it would meet the next one's old place.
  const text = `do $do$
    declare each record;
    declare step interval;
    begin
      for each in
        select c.table_name as name, string_agg(format('%1$I = %1$I - $1', c.column_name), ', ') as changes,
          bool_or(exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
            where i.indisunique and i.indrelid = k.oid and a.attname = c.column_name)) as in_key
        from information_schema.columns c join pg_class k on k.relname = c.table_name and k.relkind = 'r' and not k.relispartition
        where c.table_schema = 'public' and c.data_type = 'timestamp with time zone'
          ${only ? `and c.table_name in (${named})` : ''} group by 1
      loop
        foreach step in array case when each.in_key
          then array[make_interval(secs => ${century + seconds}), make_interval(secs => -${century})] else array[make_interval(secs => ${seconds})] end
        loop
          execute format('update %I set %s', each.name, each.changes) || ${only ? `case each.name ${rows.join(' ')} end` : "''"} using step;
        end loop;
      end loop;
    end $do$`
  for (let done = false; !done; ) {
    // The service locks rows in another order. Whoever PostgreSQL ends for that has changed nothing, and goes again.
    done = await sql.unsafe(text).then(
      () => true,
      (error) => {
        if ((error as { code?: string }).code !== '40P01') throw error
        return false
      },
    )
  }
}
