// The tool of the fault tests: a process dies on the line that was named, and only when it was armed.
import t from 'tap'
import { freshDatabase } from '../postgres.ts'
import { violations } from '../rig/invariants.ts'
import { startRig } from '../rig/rig.ts'

t.test('a failpoint kills the process on its line, and a variable alone switches nothing on', async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url)
  const FAILPOINT = JSON.stringify({ label: 'refresh.claimed', signal: 'SIGKILL' })
  const [withRig, production] = await Promise.all([
    rig.start('with-rig', { env: { FAILPOINT } }),
    rig.start('production', { env: { FAILPOINT, NODE_ENV: 'test' }, preloads: [] }),
  ])
  const [one, two] = await rig.seed({ count: 2, secondsLeft: -60 })

  t.equal((await rig.read(production, one.id)).status, 200, 'the variable is there, the refresh goes through')
  t.equal((await rig.read(withRig, two.id)).status, 0)
  t.equal(await withRig.ended(), 'SIGKILL')
  await rig.timePasses(31)
  t.equal((await rig.read(production, two.id)).status, 200, 'a claim that died before it was sent costs its lease, no more')
  t.same(await violations(rig), [])
})
