// A removal at TikTok, and two real processes that have to hear of it; and a third party that has to be told.
import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { freshDatabase } from '../postgres.ts'
import { eventually } from '../rig/eventually.ts'
import { startReceiver } from '../rig/receiver.ts'
import { startRig } from '../rig/rig.ts'

const rounds = 20

t.test('removed at TikTok', async (t) => {
  const receiver = await startReceiver(t)
  const secret = `whsec_${randomBytes(32).toString('base64')}`
  const env = { EVENT_WEBHOOKS: `${receiver.url}|${secret}` }
  const rig = await startRig(t, (await freshDatabase(t)).url)
  const accounts = await rig.seed({ count: rounds + 1 })
  const [told, other] = await Promise.all([rig.start('told', { env }), rig.start('other', { env })])
  rig.tiktok.changeSettings({ webhook_url: `${told.url}/webhooks/tiktok`, webhook_retry_ms: 50 })

  await t.test('whatever the reason, the next read is refused on a replica that was not told', async (t) => {
    for (const [round, { id, person }] of accounts.slice(0, rounds).entries()) {
      t.equal((await rig.read(other, id)).status, 200)
      rig.tiktok.removeApp(person, ([0, 1, 2, 3, 4] as const)[round % 5])
      await eventually('the notice was acted on', async () => (await rig.statusOf(id)).status === 'disconnected')
      t.equal((await rig.read(other, id)).status, 410)
    }
  })

  await t.test('F44, F45: killed right after the notice was kept, before the answer: the other replica acts on it', async (t) => {
    const [last] = accounts.slice(rounds)
    if (!last) throw new Error('one more was seeded')
    // What it may have in hand to push would come after its lease: that is F52, and told elsewhere.
    await eventually('all before have been pushed', () => receiver.received.length === rounds)
    await told.arm({ label: 'notice.kept', signal: 'SIGKILL' })
    rig.tiktok.removeApp(last.person)
    t.equal(await told.ended(), 'SIGKILL')
    await eventually('the other replica has acted', async () => (await rig.statusOf(last.id)).status === 'disconnected')
    t.equal((await rig.read(other, last.id)).status, 410)
  })

  await t.test('every removal is pushed, signed, and once although both replicas push', async (t) => {
    await eventually('all have arrived', () => receiver.received.length > rounds)
    const events = receiver.received.map(
      ({ body, headers }) => new Webhook(secret).verify(body, headers) as { data: { account_id: string } },
    )
    t.same(events.map(({ data }) => data.account_id).sort(), accounts.map(({ id }) => id).sort())
  })
})
