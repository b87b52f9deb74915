// An upload as a draft, from init to the notice.
import t from 'tap'
import { connect, consent, exchange, receiverFor, simulatorFor } from './app.ts'

async function init(url: string, accessToken: unknown) {
  const response = await fetch(`${url}/v2/post/publish/inbox/video/init/`, {
    method: 'POST',
    headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json; charset=UTF-8' },
    body: JSON.stringify({ source_info: { source: 'FILE_UPLOAD', video_size: 3, chunk_size: 3, total_chunk_count: 1 } }),
  })
  const body = (await response.json()) as { data: { publish_id: string; upload_url: string }; error: { code: string } }
  return { status: response.status, body }
}

t.test('a draft goes from init over the bytes to the notice that it arrived', async (t) => {
  const { url, received } = await receiverFor(t)
  const simulator = await simulatorFor(t, { webhookUrl: url })
  const { access_token, open_id } = await connect(simulator, 'mara')
  const { status, body } = await init(simulator.url, access_token)
  t.equal(status, 200)
  t.match(body, { data: { publish_id: /^v_inbox_file~v2\.\d+$/ }, error: { code: 'ok' } })

  const put = () => fetch(body.data.upload_url, { method: 'PUT', body: Buffer.alloc(3_000_000) })
  t.equal((await put()).status, 201)
  t.equal((await put()).status, 404, 'the link works once')
  await simulator.webhooks.settled()
  t.match(JSON.parse(received[0]?.body ?? ''), {
    event: 'post.publish.inbox_delivered',
    user_openid: open_id,
    content: JSON.stringify({ publish_id: body.data.publish_id, publish_type: 'INBOX_SHARE' }),
  })
})

t.test('init needs a living token with video.upload', async (t) => {
  const simulator = await simulatorFor(t)
  const code = consent(simulator, 'mara', {}, ['video.upload']).get('code') ?? ''
  const { access_token } = (await exchange(simulator, code)).body
  t.match(await init(simulator.url, access_token), { status: 401, body: { error: { code: 'scope_not_authorized' } } })
  t.match(await init(simulator.url, 'act.unknown'), { status: 401, body: { error: { code: 'access_token_invalid' } } })
})

t.test('too many pending drafts are refused, by script or by the documented limit', async (t) => {
  const simulator = await simulatorFor(t)
  const { access_token } = await connect(simulator, 'mara')
  const full = { status: 403, body: { error: { code: 'spam_risk_too_many_pending_share' } } }
  simulator.faults.add({ route: 'upload', error: 'spam_risk_too_many_pending_share' })
  t.match(await init(simulator.url, access_token), full)
  t.match(await init(simulator.url, access_token), { status: 200 })
  for (const [error, status] of Object.entries({ invalid_file_upload: 400, privacy_level_option_mismatch: 403 })) {
    simulator.faults.add({ route: 'upload', error })
    t.match(await init(simulator.url, access_token), { status, body: { error: { code: error } } })
  }

  simulator.changeSettings({ pending_shares_per_day: 2, lifetimes: '7d/180d' })
  const longer = await connect(simulator, 'mara')
  t.match(await init(simulator.url, longer.access_token), { status: 200 })
  t.match(await init(simulator.url, longer.access_token), full)
  simulator.clock.advance(86_400)
  t.match(await init(simulator.url, longer.access_token), { status: 200 })
})
