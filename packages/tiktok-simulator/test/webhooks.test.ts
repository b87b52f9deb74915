// Notices: signed, repeated, forged and lost.
import { createHmac } from 'node:crypto'
import t from 'tap'
import { connect, receiverFor, sim, simulatorFor } from './app.ts'

function isSigned(secret: string, header: unknown, body: string): boolean {
  const [, time, signature] = /^t=(\d+),s=([0-9a-f]{64})$/.exec(String(header)) ?? []
  return signature === createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')
}

t.test('removing the app sends a signed notice, with the tokens dead already', async (t) => {
  const { url, received } = await receiverFor(t)
  const simulator = await simulatorFor(t, { webhookUrl: url })
  const { open_id } = await connect(simulator, 'mara')
  simulator.clock.advance(86_400)
  simulator.removeApp('mara', 3)
  await simulator.webhooks.settled()

  const [notice] = received
  t.ok(isSigned(simulator.clientSecret, notice?.headers['tiktok-signature'], notice?.body ?? ''))
  const body = JSON.parse(notice?.body ?? '')
  t.match(body, { event: 'authorization.removed', user_openid: open_id, content: '{"reason":3}' })
  t.ok(Math.abs(body.create_time - Date.now() / 1000) < 3600, "the receiver's clock has not moved, so the times have not either")
  t.match(await sim(simulator, 'GET', 'webhooks'), { body: { deliveries: [{ state: 'delivered', statuses: [200] }] } })
})

t.test('a notice is repeated until it is answered with 200, and given up in the end', async (t) => {
  const patient = await receiverFor(t, [500, 204])
  const simulator = await simulatorFor(t, { webhookUrl: patient.url, settings: { webhook_retry_ms: 1 } })
  const [delivery] = simulator.webhooks.send({ event: 'post.publish.complete', user_openid: 'x', content: { publish_id: 'p' } })
  await simulator.webhooks.settled()
  t.match(delivery, { state: 'delivered', statuses: [500, 204, 200] })
  t.equal(new Set(patient.received.map(({ body }) => body)).size, 1, 'the same bytes each time')

  const deaf = await receiverFor(t, [500, 500, 500, 500, 500, 500, 500])
  simulator.changeSettings({ webhook_url: deaf.url })
  const [lost] = simulator.webhooks.send({ event: 'authorization.removed' })
  await simulator.webhooks.settled()
  t.equal(lost?.state, 'given_up')
  t.equal(deaf.received.length, 6)
})

t.test('a retry carries the first signature, or one of its own time if set so', async (t) => {
  const times = async (resign_retries: boolean) => {
    const { url, received } = await receiverFor(t, [500])
    const simulator = await simulatorFor(t, { webhookUrl: url, settings: { webhook_retry_ms: 1100, resign_retries } })
    simulator.webhooks.send({ event: 'authorization.removed', user_openid: 'x' })
    await simulator.webhooks.settled()
    for (const { headers, body } of received) t.ok(isSigned(simulator.clientSecret, headers['tiktok-signature'], body))
    return new Set(received.map(({ headers }) => headers['tiktok-signature'])).size
  }
  t.strictSame(await Promise.all([times(false), times(true)]), [1, 2])
})

t.test('forged, unsigned, late and repeated notices can be sent', async (t) => {
  const { url, received } = await receiverFor(t)
  const simulator = await simulatorFor(t, { webhookUrl: url })
  const send = (notice: object) =>
    sim(simulator, 'POST', 'webhooks', { event: 'authorization.removed', user_openid: 'x', ...notice })
  await send({ content: { reason: 1 }, signature: 'forged' })
  await simulator.webhooks.settled()
  await send({ content: { reason: 1 }, signature: 'missing' })
  await simulator.webhooks.settled()
  await send({ content: '{"reason":2}', create_time: 1_700_000_000, t: 1_700_000_001, times: 3 })
  await simulator.webhooks.settled()

  t.equal(received.length, 5)
  const [forged, unsigned, ...late] = received
  t.match(forged?.headers['tiktok-signature'], /^t=\d+,s=[0-9a-f]{64}$/)
  t.notOk(isSigned(simulator.clientSecret, forged?.headers['tiktok-signature'], forged?.body ?? ''))
  t.notOk('tiktok-signature' in (unsigned?.headers ?? {}))
  for (const { headers, body } of late) {
    t.match(headers['tiktok-signature'], /^t=1700000001,/)
    t.ok(isSigned(simulator.clientSecret, headers['tiktok-signature'], body))
    t.match(JSON.parse(body), { create_time: 1_700_000_000, content: '{"reason":2}' })
  }
})

t.test('a notice can get lost, and without a URL none is sent', async (t) => {
  const { url, received } = await receiverFor(t)
  const simulator = await simulatorFor(t, { webhookUrl: url })
  await connect(simulator, 'mara')
  await sim(simulator, 'POST', 'people/mara/remove-app', { notify: false })
  simulator.changeSettings({ webhook_url: null })
  await connect(simulator, 'mara')
  simulator.removeApp('mara')
  await simulator.webhooks.settled()
  t.equal(received.length, 0)
  t.match(simulator.webhooks.deliveries(), [{ state: 'no_url' }])
})
