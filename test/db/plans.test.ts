// At a hundred thousand accounts no statement of the service reads a whole table, whatever it is asked, and neither does what a
// function or a foreign key does inside it.
import postgres from 'postgres'
import t from 'tap'
import { freshDatabase } from '../postgres.ts'
import { fillTables } from '../rig/many.ts'
import { allStatements } from '../rig/statements.ts'

const accounts = 100_000

/** These read all of a table that grows, and why they may. */
const mayReadAll: Record<string, string> = {
  knows_union_ids: 'ends at the first row it finds',
  open_audit_days: 'only before the first day of an audit is closed',
  read_changes: 'without a filter an operator asks for all of it',
  read_token_reads: 'without a filter an operator asks for all of it',
  measure_fleet: 'one replica, twice a minute: what is counted row by row stops at a bound',
  count_live_accounts: 'an operator is about to disconnect everybody, and is told how many',
  count_untried_accounts: '`accounts reconcile`, once per restore',
  list_untried_accounts: '`accounts reconcile`, once per restore',
  count_sealed_texts: '`vault reseal`, before and after it walked over everything',
}

/** Nothing can be explained about these. */
const commands = ['grant_role']

interface Plan {
  'Node Type': string
  'Relation Name'?: string
  Plans?: Plan[]
}

t.test('no statement reads a whole table', async (t) => {
  const { url } = await freshDatabase(t)
  const notices: string[] = []
  const sql = postgres(url, { max: 4, onnotice: ({ message = '' }) => notices.push(message) })
  t.teardown(() => sql.end())
  await fillTables(sql, accounts)
  const large = new Set(
    (await sql`select relname from pg_class where relkind in ('r', 'p') and reltuples > 1000`).map(({ relname }) => relname),
  )
  t.ok(large.size > 12, [...large].join(', '))
  const readWhole = (plan: Plan): string[] => [
    ...(plan['Node Type'] === 'Seq Scan' && large.has(plan['Relation Name']) ? [plan['Relation Name'] ?? ''] : []),
    ...(plan.Plans ?? []).flatMap(readWhole),
  ]

  t.test('of those that are sent', async (t) => {
    const { statements, missed } = await allStatements()
    t.same(missed, [], 'every statement of src/db is looked at')
    for (const { name, text } of statements.filter(({ name }) => !commands.includes(name))) {
      const [explained] = await sql.unsafe(`explain (generic_plan, format json) ${usual(text)}`)
      const tables = readWhole(explained?.['QUERY PLAN'][0].Plan)
      if (!(name in mayReadAll)) t.same(tables, [], name)
    }
    const known = new Set(statements.map(({ name }) => name))
    t.same(
      Object.keys(mayReadAll).filter((name) => !known.has(name)),
      [],
      'and every exception is a statement',
    )
  })

  t.test('of those inside', async (t) => {
    for (const [name, call] of Object.entries(inside)) {
      notices.length = 0
      const done = await sql
        .begin(async (sql) => {
          await sql.unsafe(
            `load 'auto_explain'; set local auto_explain.log_min_duration = 0; set local auto_explain.log_nested_statements = on;
             set local auto_explain.log_format = json; set local auto_explain.log_level = notice`,
          )
          await sql.unsafe(call)
          throw undone
        })
        .catch((error: unknown) => error)
      t.equal(done, undone, name)
      const plans = notices.flatMap((notice) => /plan:\n([\s\S]*)/.exec(notice)?.[1] ?? [])
      t.ok(plans.length > 1, `${name}: ${plans.length} plans`)
      for (const text of plans) {
        const { Plan: plan, 'Query Text': query } = JSON.parse(text) as { Plan: Plan; 'Query Text': string }
        t.same(readWhole(plan), [], `${name}: ${query.trim().slice(0, 200)}`)
      }
    }
  })
})

const undone = new Error('rolled back')

/** A limit and a time as they are in fact: without them the planner takes a third of everything for wanted. */
function usual(text: string): string {
  let count = 0
  return text
    .replace(/\blimit \$\d+/g, 'limit 500')
    .replace(/\(days => \$\d+/g, '(days => 30')
    .replace(/\(hours => \$\d+/g, '(hours => 24')
    .replace(/\$\d+/g, () => `$${++count}`)
}

const tokens = `'attempt_id', 'att_new', 'client_key', 'client', 'sealed_access_token', 'a', 'sealed_refresh_token', 'r', 'sealed_expiry', 'e',
  'access_expires_at', now() + interval '1 day', 'refresh_expires_at', now() + interval '90 days', 'lifetime_seconds', 86400, 'scopes', array['user.info.basic'],
  'missing_scopes', array[]::text[]`
const person = `'open_id', 'open_77', 'union_id', 'union_77', 'owner_id', 'many_39', 'label', null, 'account_type', 'creator', 'attested_at', now(),
  'attestation_version', '2026-11', 'connected_at', now(), 'session_id', 'cs_many77', 'sealed_identity', 'i'`

/** One call of each function that looks at a table, and the deletes that foreign keys go on with. */
const inside = {
  admit_read: `select admit_read('key_many', 'acc_many77', 3)`,
  admit_refreshes: `select admit_refreshes(jsonb_build_object('replica_id', 'rep_1', 'in_flight', 1, 'accepted', 1, 'wanted', 1))`,
  connect_account: `update connect_sessions set status = 'exchanging' where id = 'cs_many77';
    select connect_account(jsonb_build_object('account_id', 'acc_many77', 'generation', 79, 'reconnect_account_id', null, 'account_limit', 5,
      'session_id', 'cs_many77', 'actor', 'key_many', ${person}, ${tokens}))`,
  connect_another: `select connect_account(jsonb_build_object('account_id', 'acc_new', 'generation', 1, 'reconnect_account_id', null, 'account_limit', 5,
      'session_id', 'cs_many78', 'actor', 'key_many', ${person.replace('open_77', 'open_new').replace('union_77', 'union_new')}, ${tokens}))`,
  save_token_set: `select save_token_set(jsonb_build_object('account_id', 'acc_many77', 'spent_generation', 78, 'actor', 'service', ${tokens}))`,
  reserve_upload: `select reserve_upload('acc_many77', 'upl_new', 'another', 1800, 20, 'key_many', 'uploads')`,
  commit_upload: `select reserve_upload('acc_many77', 'upl_new', 'another', 1800, 20, 'key_many', 'uploads'); select commit_upload('acc_many77', 'upl_new', 'p', 20, 'key_many', 'req')`,
  release_upload: `select reserve_upload('acc_many77', 'upl_new', 'another', 1800, 20, 'key_many', 'uploads');
    select release_upload(jsonb_build_object('account_id', 'acc_many77', 'upload_id', 'upl_new', 'tiktok_error', 'spam_risk_too_many_posts', 'first_wait_seconds', 3600,
      'last_wait_seconds', 86400, 'limit', 20, 'actor', 'key_many', 'request_id', 'req'))`,
  refusals_lately: `select refusals_lately('token')`,
  hold_refusals: `select hold_refusals('token')`,
  release_refusals: `select hold_refusals('token'); select release_refusals('token', 'operator')`,
  restore_account: `select restore_account(jsonb_build_object('account_id', 'acc_back', 'generation', 5, 'actor', 'service', ${person.replace('open_77', 'open_back')}, ${tokens}))`,
  restore_token_set: `select restore_token_set(jsonb_build_object('account_id', 'acc_many77', 'generation', 99, 'actor', 'service', 'lost_required_scope', false, ${tokens}))`,
  erase_owner: `update accounts set status = 'disconnected', open_id = null where owner_id = 'many_39'; select erase_owner('many_39', '(erased)')`,
  'a disconnect': `delete from token_sets where account_id = 'acc_many77'`,
  'an account': `delete from token_sets where account_id = 'acc_many77'; delete from accounts where id = 'acc_many77'`,
  'a session': `delete from connect_sessions where id = 'cs_many77'`,
  'an event': `set local enable_seqscan = off; delete from events where id = (select min(id) from events)`,
}
