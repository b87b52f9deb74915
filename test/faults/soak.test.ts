// Everything that can go wrong, at random for a few seconds: the invariants hold.
import t from 'tap'
import { freshDatabase } from '../postgres.ts'
import { startRig } from '../rig/rig.ts'
import { soak } from '../rig/soak.ts'

t.test('a short soak: whatever comes in whatever order, the invariants hold (`npm run soak` for a long one)', async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url)
  const seed = Number(process.env.SOAK_SEED ?? Math.floor(Math.random() * 1_000_000))
  const { record, ...report } = await soak(rig, { seconds: 6, seed, accounts: 20, replicas: 2 })
  t.comment(report)
  t.same(report.violations, [], `repeat with SOAK_SEED=${seed}`)
  if (report.violations.length > 0) t.comment(record.join('\n'))
})
