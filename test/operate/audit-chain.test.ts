// The seal of each day of the audit: whoever changes a row later is found out.
import t from 'tap'
import { openParts } from '../../src/app.ts'
import { closeAuditDays, verifyAudit } from '../../src/operate/audit-chain.ts'
import { reseal } from '../../src/operate/reseal.ts'
import { databaseLinks } from '../../src/settings/config.ts'
import { createLog } from '../../src/telemetry.ts'
import { generateVaultKey } from '../../src/vault/keyring.ts'
import { ageAudit } from '../audit-rows.ts'
import { command, environmentOf } from '../rig/command.ts'
import { startWorld, type World } from '../world.ts'

/** Three days with something in each, closed. */
async function closedDays(t: Parameters<typeof startWorld>[0]) {
  const world = await startWorld(t)
  const account = await world.connect()
  for (let day = 0; day < 3; day++) {
    await world.call('GET', `/accounts/${account.id}/token`)
    await world.call('PATCH', `/accounts/${account.id}`, { body: { label: `day ${day}` } })
    await ageAudit(world.parts, '1 day')
  }
  await ageAudit(world.parts, '2 hours') // also in the first hour of a day yesterday's rows are of a day that is closed
  await closeAuditDays(world.parts)
  return { world, run: (statement: string) => world.parts.db.run('attack', (sql) => sql.unsafe(statement)) }
}

async function verdicts(world: World, keptSince = '2000-01-01'): Promise<string[]> {
  const found = []
  for await (const { verdict } of verifyAudit(world.parts, keptSince)) found.push(verdict)
  return found
}

t.test('S76: each day that is over is closed once, and verifies', async (t) => {
  const { world } = await closedDays(t)
  t.same(await verdicts(world), ['ok', 'ok', 'ok'])
  t.equal(await closeAuditDays(world.parts), 0, 'what is closed stays closed, and today is not over')
  await ageAudit(world.parts, '0 days')
  t.same(await verdicts(world, '2100-01-01'), ['dropped', 'dropped', 'dropped'], 'of rows that retention took the seals are left')
})

const attacks: Record<string, { statement: string; verdict: string; at: number }> = {
  'a row is changed': {
    statement: `update timeline set actor = 'key_other' where kind = 'label_changed'`,
    verdict: 'changed',
    at: 0,
  },
  'a token read is taken away': {
    statement: 'delete from token_reads where ctid in (select ctid from token_reads order by at limit 1)',
    verdict: 'changed',
    at: 0,
  },
  'a row is added': {
    statement: `insert into audit_log (at, actor, action, object) select min(at), 'service', 'x', 'x' from token_reads`,
    verdict: 'changed',
    at: 0,
  },
  'a row is moved within its day': {
    statement: `update audit_log set at = at + interval '1 microsecond'`,
    verdict: 'changed',
    at: 0,
  },
  'a seal is forged': {
    statement: `update audit_days set hash = repeat('0', 64) where day = (select max(day) from audit_days)`,
    verdict: 'not_ours',
    at: 2,
  },
  'a seal is moved to another day': {
    statement: `update audit_days a set sealed_hash = b.sealed_hash from audit_days b where b.day < a.day and a.day = (select max(day) from audit_days)`,
    verdict: 'not_ours',
    at: 2,
  },
  'a whole day is taken away': {
    statement: `delete from audit_days where day = (select min(day)::date + 1 from audit_days)::text`,
    verdict: 'missing',
    at: 1,
  },
}
for (const [what, { statement, verdict, at }] of Object.entries(attacks)) {
  t.test(`S76: it is found out when ${what}`, async (t) => {
    const { world, run } = await closedDays(t)
    await run(statement)
    t.equal((await verdicts(world))[at], verdict)
    const told = await command(['audit', 'verify'], environmentOf(world))
    t.match(told, { code: 1, stdout: new RegExp(`\\t${verdict}\\t`), stderr: /The audit was changed past the service/ })
  })
}

t.test('cli audit verify says each day, and a changed vault key changes nothing', async (t) => {
  const { world } = await closedDays(t)
  const told = await command(['audit', 'verify'], environmentOf(world))
  t.match(told, { code: 0, stdout: /^(\d{4}-\d\d-\d\d\tok\t\d+ rows\n){3}$/, stderr: /3 days are as they were closed/ })

  await world.parts.db.run('gone', (sql) => sql`delete from replicas`)
  const vaultKeys = `${generateVaultKey('k2')},${world.config.vaultKeys}`
  const config = { ...world.config, vaultKeys }
  const opened = await openParts(config, { log: createLog('silent'), database: databaseLinks(config).usual })
  t.teardown(() => opened.close())
  t.match(await reseal(opened.parts, { actor: 'operator' }), { left: [], unreadable: [] })
  const after = []
  for await (const { verdict } of verifyAudit(opened.parts, '2000-01-01')) after.push(verdict)
  t.same(after, ['ok', 'ok', 'ok'])
})
