// What operators do about events and notices at the command line: list, look, send again, enable.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import postgres from 'postgres'
import t from 'tap'
import { events } from '../../src/cli/events.ts'
import { notices } from '../../src/cli/notices.ts'
import { UsageError } from '../../src/cli/terminal.ts'
import { ownFolder } from '../folder.ts'
import { freshDatabase } from '../postgres.ts'

const cliFile = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** A database with an endpoint that answered 410, a dead letter, and two notices; and the command line on it. */
async function startDesk(t: { teardown(work: () => unknown): unknown }) {
  const { url } = await freshDatabase(t)
  const cwd = await ownFolder(t, 'cli')
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  t.teardown(async () => {
    await sql.end()
  })
  await sql`insert into event_endpoints (id, origin, fingerprint, xid, seq, disabled_at) values ('ep_1', 'https://app.example.com', 'f', '1', 0, now())`
  await sql`insert into events (id, type, account_id, data) values ('evt_1', 'account.recovered', 'acc_1', '{}'), ('evt_2', 'account.recovered', 'acc_1', '{}')`
  await sql`insert into deliveries (event_id, endpoint_id, attempts, last_code, dead_at) values ('evt_1', 'ep_1', 10, 'timeout', now()), ('evt_2', 'ep_1', 1, null, null)`
  await sql`insert into notices (body_hash, event, said_at, body, settled_at, outcome) values
    ('h1', 'video.reticulated', now(), ${Buffer.from('{"event":"video.reticulated","note":"\u001b[31mred"}')}, now(), 'unknown_event'),
    ('h2', 'authorization.removed', now(), 'x', null, null)`
  const cli = async (...argv: string[]) => {
    const { NODE_OPTIONS: _, ...env } = process.env
    const options = { cwd, env: { ...env, DATABASE_URL: url } }
    return promisify(execFile)(process.execPath, [cliFile, ...argv], options).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    )
  }
  return { sql, cli }
}

t.test('dead letters are listed and sent again', async (t) => {
  const { sql, cli } = await startDesk(t)
  t.match(await cli('events', 'dead'), {
    code: 0,
    stdout: /^evt_1\taccount\.recovered\t\S+\tep_1\thttps:\/\/app\.example\.com\t10 attempts, the last timeout\tgiven up \S+\n$/,
    stderr: /1 dead letters/,
  })
  t.match(await cli('events', 'resend', 'evt_2'), { code: 1, stderr: /"evt_2" is not a dead letter/ })
  t.match(await cli('events', 'resend', 'evt_1'), { code: 0, stdout: /^1 deliveries start again/, stderr: /events enable ep_1/ })
  t.match(await sql`select attempts, dead_at from deliveries where event_id = 'evt_1'`, [{ attempts: 0, dead_at: null }])
  t.match(await sql`select actor, action, object, detail from audit_log`, [
    { actor: 'operator', action: 'event_deliveries_resent', object: 'evt_1', detail: '1' },
  ])
})

t.test('endpoints are listed, and one that answered 410 is enabled', async (t) => {
  const { sql, cli } = await startDesk(t)
  const listed = await cli('events', 'endpoints')
  t.match(listed.stdout, /^ep_1\thttps:\/\/app\.example\.com\tanswered 410 at \S+\t1 waiting\t1 dead\n$/)
  t.match(await cli('events', 'enable', 'ep_2'), { code: 1, stderr: /There is no endpoint "ep_2"/ })
  t.match(await cli('events', 'enable', 'ep_1'), { code: 0, stdout: /^ep_1 is live/ })
  t.match(await sql`select disabled_at from event_endpoints`, [{ disabled_at: null }])
})

t.test('notices are listed, and what nobody understood is shown without a word to the terminal', async (t) => {
  const { cli } = await startDesk(t)
  const unknown = await cli('notices', 'list', '--unknown')
  t.match(unknown.stdout, /\tvideo\.reticulated\tunknown_event\t-\t/)
  t.match(unknown.stdout, String.raw`\"note\":\"\u001b[31mred\"`)
  t.notOk(unknown.stdout.includes('\u001b'))
  t.match((await cli('notices', 'list', '--unsettled')).stdout, /\tauthorization\.removed\twaits, 0 attempts\t-\t/)
})

t.test('a mistake in the words is said before anything is done', async (t) => {
  const refuses = async (work: Promise<void>, what: string) =>
    t.ok((await work.catch((error) => error)) instanceof UsageError, what)
  for (const argv of [[], ['resend'], ['resend', 'evt_1', '--all'], ['enable'], ['dead', '--limit', '0'], ['dead', '--nonsense']])
    await refuses(events(argv), `events ${argv.join(' ')}`)
  for (const argv of [[], ['list', '--unsettled', '--unknown'], ['list', '--limit', 'x']])
    await refuses(notices(argv), `notices ${argv.join(' ')}`)
})
