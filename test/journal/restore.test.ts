// F28 with real processes: a backup restored under three replicas, at its best and with what can go wrong.
import t from 'tap'
import { freshDatabase } from '../postgres.ts'
import { restoreDrill } from '../rig/restore-drill.ts'
import { startRig } from '../rig/rig.ts'

const small = { accounts: 30, connects: 4, disconnects: 4, erasedOwners: 2, revokedKeys: 2, rotations: 2 }

t.test('F28: a restored backup loses no account, revives nothing, and spends no refresh token twice', async (t) => {
  const { url } = await freshDatabase(t)
  const rig = await startRig(t, url)
  const result = await restoreDrill(rig, url, small)
  t.same(result.wrong, [])
  t.equal(result.vend, result.live)
  t.equal(result.refreshAfterwards, result.live)
  t.match(result, { presentedTwice: 0, eventsToPeople: 0, waitForTheirPerson: 0 })
})
