// A process dies or stands still on an exact line of a refresh. What it had been told is brought back, and what nobody was told costs
// exactly that account its person, and no other anything.
import t from 'tap'
import { freshDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { killAt, pauseWithAnswer } from '../rig/faults.ts'
import { violations } from '../rig/invariants.ts'
import { startRig } from '../rig/rig.ts'

t.test('F01: killed at any labelled step, no account is lost whose answer had been read and spilled', async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url)
  let [holder, neighbour] = await Promise.all([rig.start('holder'), rig.start('neighbour')])
  const down: Record<string, string> = {}
  const excused: string[] = []
  for (const label of ['refresh.claimed', 'refresh.answered', 'refresh.journalled', 'refresh.saved'] as const) {
    const { victim, bystanders, expected, again } = await killAt(rig, holder, neighbour, label)
    holder = again
    excused.push(victim)
    if (expected !== 'active') down[victim] = expected
    t.match(
      await rig.statusOf(victim),
      { status: expected === 'active' ? 'active' : 'reauthorization_required' },
      `${label}: ${expected}`,
    )
    for (const id of bystanders) t.equal((await rig.read(neighbour, id)).status, 200, 'no other account is touched')
  }
  t.same(await violations(rig, { excused, down }), [])
})

t.test('F01: with the answer unread, the old token is served while it lives, and the timeline says why', async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url)
  const [holder, neighbour] = await Promise.all([rig.start('holder'), rig.start('neighbour')])
  const account = await rig.seedOne({ secondsLeft: 1000 })
  rig.tiktok.faults.add({ route: 'refresh', after_ms: 60_000 })
  void rig.read(holder, account.id, 1800)
  await eventually('TikTok has processed it', () => rig.tiktok.stats.report().refreshes_processed === 1)
  holder.signal('SIGKILL')
  await holder.ended()

  await rig.timePasses(31)
  t.match(await rig.read(neighbour, account.id, 1800), { status: 200, degraded: true, generation: 1 }, 'in its grace time')
  await rig.timePasses(61)
  t.match(await rig.read(neighbour, account.id, 1800), { status: 200, degraded: true, generation: 1 }, 'and after it')
  const { body } = await rig.call(neighbour, 'GET', `/accounts/${account.id}/timeline`)
  t.same(
    (body.entries as { kind: string; code: string }[]).map(({ kind, code }) => `${kind} ${code}`),
    ['reauthorization_required refresh_outcome_unknown', 'refresh_rejected invalid_grant', 'refresh_abandoned lease_ran_out'],
  )
  await rig.timePasses(1000)
  t.match(await rig.read(neighbour, account.id), { status: 409, code: 'reauthorization_required' }, 'until it expires')
  t.same(await violations(rig, { excused: [account.id], down: { [account.id]: 'refresh_outcome_unknown' } }), [])
})

t.test(
  'F02: a holder that was paused past its lease with the answer in hand saves it late, and the late save wins',
  async (t) => {
    const rig = await startRig(t, (await freshDatabase(t)).url)
    const [holder, neighbour] = await Promise.all([rig.start('holder'), rig.start('neighbour')])
    const paused = await pauseWithAnswer(rig, holder, neighbour, { graceEnds: false })
    t.equal(paused.whilePaused.code, 'refresh_in_progress', 'the neighbour met invalid_grant and waits out the grace')
    const believed = await pauseWithAnswer(rig, holder, neighbour, { graceEnds: true })
    t.equal(believed.whilePaused.code, 'reauthorization_required', 'even when the mark was set already')
    for (const { accountId } of [paused, believed]) t.match(await rig.read(neighbour, accountId), { status: 200, generation: 2 })
    const { body } = await rig.call(neighbour, 'GET', `/accounts/${believed.accountId}/timeline`)
    t.match((body.entries as unknown[])[0], { kind: 'recovered', code: 'refresh_outcome_unknown' })
    t.same(await violations(rig, { excused: [paused.accountId, believed.accountId] }), [])
  },
)

t.test('F03: a holder that was paused before it sent notices that its claim is over and sends nothing', async (t) => {
  const rig = await startRig(t, (await freshDatabase(t)).url)
  const [holder, neighbour] = await Promise.all([rig.start('holder'), rig.start('neighbour')])
  const account = await rig.seedOne({ secondsLeft: -60 })
  await holder.arm({ label: 'refresh.sending', signal: 'SIGSTOP' })
  const read = rig.read(holder, account.id)
  await holder.reached('refresh.sending')
  await rig.timePasses(31)
  t.match(await rig.read(neighbour, account.id), { status: 200, generation: 2 })
  // Longer than a claim is believed without another look.
  await new Promise((resolve) => setTimeout(resolve, 600))
  holder.signal('SIGCONT')
  t.match(await read, { status: 200, generation: 2 }, 'its reader is given what the neighbour got')
  t.equal(rig.tiktok.stats.report().refreshes_processed, 1)
  t.same(await violations(rig), [], 'nothing was presented twice, although there was a pause')
})
