// A draft, from init over its chunks to the inbox.
import { connect as dial } from 'node:net'
import t from 'tap'
import { api, type Begun, connectCreator, draftRoute, fileOf, putBytes, receiverFor, sim, simulatorFor, statusOf } from './app.ts'

const MB = 1_000_000

t.test('a draft goes from init over the bytes to the notice that it arrived', async (t) => {
  const { url, received } = await receiverFor(t)
  const simulator = await simulatorFor(t, { webhookUrl: url })
  const access_token = await connectCreator(simulator, 'mara')
  const open_id = simulator.grants.byAccessToken(String(access_token))?.openId
  const { status, body } = await api<Begun>(simulator, draftRoute, access_token, fileOf(3 * MB))
  t.equal(status, 200)
  t.match(body, { data: { publish_id: /^v_inbox_file~v2\.\d{19}$/ }, error: { code: 'ok' } })
  t.match(body.data.upload_url, /\/video\/\?upload_id=\d{19}&upload_token=\S+$/)
  t.ok(body.data.upload_url.length <= 256)
  t.match((await statusOf(simulator, access_token, body.data.publish_id)).body.data, {
    status: 'PROCESSING_UPLOAD',
    uploaded_bytes: 0,
  })

  const put = () => putBytes(body.data.upload_url, 0, 3 * MB - 1, 3 * MB)
  t.equal((await put()).status, 201)
  t.equal((await put()).status, 404, 'the address takes one video')
  t.match((await statusOf(simulator, access_token, body.data.publish_id)).body.data, {
    status: 'SEND_TO_USER_INBOX',
    uploaded_bytes: 3 * MB,
    publicaly_available_post_id: [],
  })
  await simulator.webhooks.settled()
  t.equal(received.length, 1)
  t.match(JSON.parse(received[0]?.body ?? ''), {
    event: 'post.publish.inbox_delivered',
    user_openid: open_id,
    content: JSON.stringify({ publish_id: body.data.publish_id, publish_type: 'INBOX_SHARE' }),
  })
})

t.test('chunks come in their order, the last takes the rest, and every answer says how far it is', async (t) => {
  const simulator = await simulatorFor(t)
  const access_token = await connectCreator(simulator, 'mara')
  const size = 15_000_123
  const { data } = (await api<Begun>(simulator, draftRoute, access_token, fileOf(size, 5 * MB))).body
  const put = async (first: number, last: number, total = size, headers = {}) => {
    const answer = await putBytes(data.upload_url, first, last, total, headers)
    return [answer.status, answer.headers.get('content-range')]
  }
  const chunk = 5 * MB
  t.strictSame(await put(chunk, 2 * chunk - 1), [416, `bytes 0-0/${size}`], 'the second first')
  t.strictSame(await put(0, chunk - 1), [206, `bytes 0-5000000/${size}`])
  t.strictSame(await put(0, chunk - 1), [416, `bytes 0-5000000/${size}`], 'the same again')
  t.strictSame(await put(chunk, 2 * chunk - 1, size + 1), [416, `bytes 0-5000000/${size}`], 'of another total')
  t.strictSame(await put(chunk, 2 * chunk), [416, `bytes 0-5000000/${size}`], 'a byte too many')
  t.strictSame(await put(chunk, size - 1), [416, `bytes 0-5000000/${size}`], 'all the rest at once')
  t.strictSame(await put(chunk, 2 * chunk - 1), [206, `bytes 0-10000000/${size}`])
  t.strictSame(await put(2 * chunk, 3 * chunk - 1), [416, `bytes 0-10000000/${size}`], 'the last without the trailing bytes')
  t.strictSame(await put(2 * chunk, size - 1), [201, `bytes 0-${size}/${size}`])
})

t.test('a request that says something else than it is gets no chunk in', async (t) => {
  const simulator = await simulatorFor(t)
  const access_token = await connectCreator(simulator, 'mara')
  const { data } = (await api<Begun>(simulator, draftRoute, access_token, fileOf(1000))).body
  const put = async (headers: Record<string, string>) => (await putBytes(data.upload_url, 0, 999, 1000, headers)).status
  t.equal(await put({ 'content-range': 'bytes 0-899/1000' }), 400, 'another length than the body has')
  t.equal(await put({ 'content-range': 'bytes */1000' }), 400)
  t.equal(await put({ 'content-range': 'bytes 999-0/1000' }), 400)
  t.equal(await put({ 'content-type': 'application/octet-stream' }), 400)
  const bare = await fetch(data.upload_url, { method: 'PUT', headers: { 'content-type': 'video/mp4' }, body: Buffer.alloc(1000) })
  t.equal(bare.status, 416, 'without a range')
  const pieces = new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(1000))
      controller.close()
    },
  })
  const headers = { 'content-type': 'video/mp4', 'content-range': 'bytes 0-999/1000' }
  const unmeasured = { method: 'PUT', headers, body: pieces, duplex: 'half' } as RequestInit
  t.equal((await fetch(data.upload_url, unmeasured)).status, 400, 'without a content-length')

  const { origin, pathname, searchParams } = new URL(data.upload_url)
  const other = (parameters: string) => putBytes(`${origin}${pathname}${parameters}`, 0, 999, 1000)
  t.equal((await other('')).status, 404, 'the query belongs to the address')
  t.equal((await other(`?upload_id=${searchParams.get('upload_id')}&upload_token=guessed`)).status, 404)
  t.equal(await put({ 'content-type': 'video/quicktime' }), 201)
})

t.test('the address works for an hour', async (t) => {
  const simulator = await simulatorFor(t)
  const access_token = await connectCreator(simulator, 'mara')
  const { data } = (await api<Begun>(simulator, draftRoute, access_token, fileOf(10 * MB, 5 * MB))).body
  simulator.clock.advance(3599)
  t.equal((await putBytes(data.upload_url, 0, 5 * MB - 1, 10 * MB)).status, 206)
  simulator.clock.advance(1)
  t.equal((await putBytes(data.upload_url, 5 * MB, 10 * MB - 1, 10 * MB)).status, 403)
})

t.test('a chunk that broke off was never there, and comes again', async (t) => {
  const simulator = await simulatorFor(t)
  const access_token = await connectCreator(simulator, 'mara')
  const { data } = (await api<Begun>(simulator, draftRoute, access_token, fileOf(1000))).body
  const { hostname, port, pathname, search } = new URL(data.upload_url)
  const socket = dial({ host: hostname, port: Number(port) })
  const head = ['content-type: video/mp4', 'content-range: bytes 0-999/1000', 'content-length: 1000']
  socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nhost: ${hostname}:${port}\r\n${head.join('\r\n')}\r\n\r\n${'x'.repeat(500)}`)
  await new Promise<void>((resolve) => socket.end(resolve))
  socket.destroy()
  t.match((await statusOf(simulator, access_token, data.publish_id)).body.data, {
    status: 'PROCESSING_UPLOAD',
    uploaded_bytes: 0,
  })
  t.equal((await putBytes(data.upload_url, 0, 999, 1000)).status, 201)
})

t.test('init holds the chunks to the rules, in the words TikTok has for them', async (t) => {
  const simulator = await simulatorFor(t, { settings: { init_per_minute: null } })
  const access_token = await connectCreator(simulator, 'mara')
  const init = async (video_size: unknown, chunk_size: unknown, total_chunk_count: unknown) => {
    const source_info = { source: 'FILE_UPLOAD', video_size, chunk_size, total_chunk_count }
    const { status, body } = await api(simulator, draftRoute, access_token, { source_info })
    return status === 200 ? 'ok' : `${status} ${body.error.code}: ${body.error.message}`
  }
  const chunkSize = '400 invalid_params: The chunk size is invalid'
  const chunkCount = '400 invalid_params: The total chunk count is invalid'
  const source = '400 invalid_params: The request source info is empty or incorrect'
  t.equal(await init(50_000_123, 10 * MB, 5), 'ok', "TikTok's own example")
  t.equal(await init(50_000_123, 10 * MB, 6), chunkCount, 'rounded up')
  t.equal(await init(4_194_304, 4_194_304, 1), 'ok')
  t.equal(await init(4 * MB, 2 * MB, 2), chunkSize, 'under 5 MB only whole')
  t.equal(await init(20 * MB, 4_999_999, 4), chunkSize)
  t.equal(await init(20 * MB, 5 * MB, 4), 'ok')
  t.equal(await init(64 * 2 ** 20, 64 * 2 ** 20, 1), 'ok')
  t.equal(await init(64 * 2 ** 20 + 1, 64 * 2 ** 20 + 1, 1), chunkSize, 'above 64 MB not whole')
  t.equal(await init(121 * MB, 64 * MB, 1), chunkSize, 'a single chunk is the whole video')
  t.equal(await init(15 * MB, 10 * MB, 1), chunkSize)
  t.equal(await init(121 * MB, 60 * MB, 2), 'ok')
  t.equal(await init(10 * MB, 20 * MB, 1), chunkSize, 'a chunk larger than the video')
  t.equal(await init(2 ** 32, 5 * MB, 858), 'ok')
  t.match(await init(2 ** 32 + 1, 5 * MB, 858), /^400 invalid_params/, 'more than 4 GB')
  t.equal(await init(0, 0, 0), source)
  t.equal(await init('3', 3, 1), source)
  t.equal(await init(undefined, undefined, undefined), source)
  t.equal((await api(simulator, draftRoute, access_token, {})).body.error.code, 'invalid_params')
  t.equal((await api(simulator, draftRoute, access_token)).body.error.code, 'invalid_params', 'no body at all')
})

t.test('init needs a living token with video.upload', async (t) => {
  const simulator = await simulatorFor(t)
  const access_token = await connectCreator(simulator, 'mara', ['video.upload'])
  const init = (token: unknown) => api(simulator, draftRoute, token, fileOf(3))
  t.match(await init(access_token), { status: 401, body: { error: { code: 'scope_not_authorized' } } })
  t.match(await init('act.unknown'), { status: 401, body: { error: { code: 'access_token_invalid' } } })
})

t.test('each token may begin six times a minute', async (t) => {
  const simulator = await simulatorFor(t)
  const access_token = await connectCreator(simulator, 'mara')
  const other = await connectCreator(simulator, 'jonas')
  const init = async (token: unknown) => (await api(simulator, draftRoute, token, fileOf(3))).status
  for (let count = 0; count < 6; count += 1) t.equal(await init(access_token), 200)
  t.equal(await init(access_token), 429)
  t.equal(await init(other), 200)
  simulator.clock.advance(60)
  t.equal(await init(access_token), 200)
})

t.test('too many pending drafts are refused, by script or by the documented limit, until one is posted', async (t) => {
  const simulator = await simulatorFor(t, { settings: { init_per_minute: null, lifetimes: '7d/180d' } })
  const access_token = await connectCreator(simulator, 'mara')
  const init = () => api<Begun>(simulator, draftRoute, access_token, fileOf(3))
  const full = { status: 403, body: { error: { code: 'spam_risk_too_many_pending_share' } } }
  simulator.faults.add({ route: 'upload', error: 'spam_risk_too_many_pending_share' })
  t.match(await init(), full)
  const first = await init()
  t.match(first, { status: 200 })
  for (const [error, status] of Object.entries({ invalid_file_upload: 400, privacy_level_option_mismatch: 403 })) {
    simulator.faults.add({ route: 'upload', error })
    t.match(await init(), { status, body: { error: { code: error } } })
  }

  simulator.changeSettings({ pending_shares_per_day: 2 })
  t.match(await init(), { status: 200 })
  t.match(await init(), full)
  await putBytes(first.body.data.upload_url, 0, 2, 3)
  t.match(await init(), full, 'delivered is still pending')
  await sim(simulator, 'POST', `publications/${first.body.data.publish_id}`, { step: 'post' })
  t.match(await init(), { status: 200 })
  t.match(await init(), full)
  simulator.clock.advance(86_400)
  t.match(await init(), { status: 200 })
})
