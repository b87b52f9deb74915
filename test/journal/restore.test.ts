// F28 with real processes: a backup restored under three replicas, at its best and with what can go wrong.
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { freshDatabase } from '../postgres.ts'
import { command } from '../rig/command.ts'
import { eventually } from '../rig/eventually.ts'
import { restoreDrill } from '../rig/restore-drill.ts'
import { startRig } from '../rig/rig.ts'

const small = { accounts: 30, connects: 4, disconnects: 4, erasedOwners: 2, revokedKeys: 2, rotations: 2 }

t.test('F28: a restored backup loses no account, revives nothing, and spends no refresh token twice', async (t) => {
  const { url } = await freshDatabase(t)
  const rig = await startRig(t, url)
  const result = await restoreDrill(rig, url, small, {
    stepped: true,
    whileRecovering: async (replicas) => {
      const [first] = replicas
      const account = rig.accounts[small.disconnects]
      if (!first || !account) throw new Error('the drill started three, and disconnected the first accounts only')
      await eventually('every journal that is known was replayed', async () => {
        const rows = await rig.sql<{ state: string }[]>`select state from recovery_journals`
        const ready = await rig.call(first, 'GET', '/health/ready')
        return rows.length >= 3 && rows.every(({ state }) => state === 'replayed') && ready.status === 200
      })
      const { requests } = rig.tiktok.stats.report()
      const { status, generation } = await rig.read(first, account.id, 0)
      t.equal(status, 200, 'a token that lives is handed out while latecomers are waited for')
      t.match(await rig.call(first, 'GET', '/accounts?limit=1'), { status: 200 })
      t.match(
        await rig.call(first, 'POST', `/accounts/${account.id}/token/rejected`, { generation }),
        { status: 503, body: { code: 'database_rewound' } },
        'and none is spent',
      )
      t.equal(rig.tiktok.stats.report().requests, requests)
      t.match(await rig.sql`select ended_at from recoveries`, [{ ended_at: null }], 'it was not over meanwhile')
      return replicas
    },
  })
  t.same(result.wrong, [])
  t.equal(result.vend, result.live)
  t.equal(result.refreshAfterwards, result.live)
  t.match(result, { presentedTwice: 0, eventsToPeople: 0, waitForTheirPerson: 0 })
})

t.test('a journal that nobody has is named, nothing is spent meanwhile, and an operator decides', async (t) => {
  const { url } = await freshDatabase(t)
  const rig = await startRig(t, url)
  let asked = ''
  const result = await restoreDrill(rig, url, small, {
    stepped: true,
    beforeRestore: async () => rename(join(rig.dir, 'two'), join(rig.dir, 'lost')),
    whileRecovering: async (replicas) => {
      const [first] = replicas
      if (!first) throw new Error('three were started')
      const env = { ...rig.environment('one'), DATABASE_URL: url }
      await eventually('the others have replayed theirs', async () => {
        const [row] = await rig.sql`select count(*)::int as n from recovery_journals where state = 'protected'`
        return Number(row?.n) >= 2
      })
      const { requests } = rig.tiktok.stats.report()
      const [account] = rig.accounts
      t.match(await rig.call(first, 'POST', `/accounts/${account?.id}/verify`), {
        status: 503,
        body: { code: 'database_rewound' },
      })
      t.match(await rig.call(first, 'GET', '/health/ready'), { status: 503, body: { checks: { journal: 'database_rewound' } } })
      t.equal(await rig.metric(first, 'database_rewound'), 1)
      asked = (await command(['journal', 'status'], env)).stdout
      t.equal(rig.tiktok.stats.report().requests, requests, 'TikTok was not asked')
      t.match(await command(['journal', 'replay', '--wait', '0'], env), { code: 1, stdout: /missing: start its replica/ })
      const accepted = await command(['journal', 'replay', '--accept-missing', '--wait', '0'], env)
      t.match(accepted, { code: 0, stderr: /going on without rep_\w+/ })
      return replicas
    },
  })
  t.match(asked, /rep_\w+: awaited, last seen 20/)
  t.ok(result.refreshAfterwards < result.live, 'what only the lost journal knew is lost')
})
