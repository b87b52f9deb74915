// Media that TikTok fetches itself: from where, how far, and what may go wrong.
import t from 'tap'
import type { Simulator } from '../src/server.ts'
import {
  api,
  type Begun,
  connectCreator,
  draftRoute,
  mediaServer,
  photoRoute,
  receiverFor,
  simulatorFor,
  statusOf,
} from './app.ts'

function pulling(video_url: string) {
  return { source_info: { source: 'PULL_FROM_URL', video_url } }
}

/** @returns the status once it is another than that of the download */
async function outcomeOf(simulator: Simulator, token: unknown, publishId: string) {
  for (;;) {
    const { data } = (await statusOf(simulator, token, publishId)).body
    if (data.status !== 'PROCESSING_DOWNLOAD') return data
  }
}

t.test('a video is fetched from this machine and counted', async (t) => {
  const { url, received } = await receiverFor(t)
  const simulator = await simulatorFor(t, { webhookUrl: url, settings: { status_per_minute: null } })
  const access_token = await connectCreator(simulator, 'mara')
  const media = await mediaServer(t, (_request, response) => response.end(Buffer.alloc(300_000)))
  const { data } = (await api<Begun>(simulator, draftRoute, access_token, pulling(`${media}/a.mp4`))).body
  t.match(data, { publish_id: /^v_inbox_url~v2\.\d{19}$/ })
  t.notOk('upload_url' in data)
  t.match(await outcomeOf(simulator, access_token, data.publish_id), { status: 'SEND_TO_USER_INBOX', downloaded_bytes: 300_000 })
  await simulator.webhooks.settled()
  t.match(
    received.map(({ body }) => JSON.parse(body).event),
    ['post.publish.inbox_delivered'],
  )
})

t.test('what cannot be fetched fails, and no redirect is followed', async (t) => {
  const { url, received } = await receiverFor(t)
  const simulator = await simulatorFor(t, { webhookUrl: url, settings: { status_per_minute: null, init_per_minute: null } })
  const access_token = await connectCreator(simulator, 'mara')
  const asked: string[] = []
  const media = await mediaServer(t, ({ url = '' }, response) => {
    asked.push(url)
    if (url === '/moved') response.writeHead(302, { location: '/secret' }).end()
    else if (url === '/broken') response.writeHead(200, { 'content-length': '10' }).write('half', () => response.destroy())
    else response.writeHead(404).end()
  })
  const urls = [`${media}/moved`, `${media}/broken`, `${media}/missing`, 'http://127.0.0.1:1/', 'https://cdn.example.com/a.mp4']
  for (const video_url of urls) {
    const { data } = (await api<Begun>(simulator, draftRoute, access_token, pulling(video_url))).body
    t.match(
      await outcomeOf(simulator, access_token, data.publish_id),
      { status: 'FAILED', fail_reason: 'video_pull_failed' },
      video_url,
    )
  }
  t.strictSame(asked, ['/moved', '/broken', '/missing'])
  const notes = [...simulator.publications.all()].map(({ note }) => note ?? '')
  t.match(notes.at(-1), /name cdn\.example\.com in the setting pull_hosts/)
  await simulator.webhooks.settled()
  t.strictSame(
    received.map(({ body }) => JSON.parse(body).event),
    Array(urls.length).fill('post.publish.failed'),
  )
})

t.test('a page, or a picture that TikTok does not take, is no video and no photo', async (t) => {
  const simulator = await simulatorFor(t, { settings: { status_per_minute: null, init_per_minute: null } })
  const access_token = await connectCreator(simulator, 'mara')
  const media = await mediaServer(t, ({ url = '' }, response) => {
    response.writeHead(200, { 'content-type': decodeURIComponent(url.slice(1)) }).end('bytes')
  })
  const outcome = async (type: string, route: string, source: object) => {
    const { data } = (await api<Begun>(simulator, route, access_token, source)).body
    const { status, fail_reason = status } = await outcomeOf(simulator, access_token, data.publish_id)
    return [type, fail_reason]
  }
  const video = (type: string) => outcome(type, draftRoute, pulling(`${media}/${encodeURIComponent(type)}`))
  const photo = (type: string) => {
    const source_info = { source: 'PULL_FROM_URL', photo_images: [`${media}/${encodeURIComponent(type)}`] }
    return outcome(type, photoRoute, { media_type: 'PHOTO', post_mode: 'MEDIA_UPLOAD', post_info: {}, source_info })
  }
  const taken = 'SEND_TO_USER_INBOX'
  const wrong = 'file_format_check_failed'
  for (const type of ['video/mp4', 'video/quicktime', 'application/octet-stream']) t.strictSame(await video(type), [type, taken])
  for (const type of ['text/html; charset=utf-8', 'image/jpeg', 'application/json'])
    t.strictSame(await video(type), [type, wrong])
  for (const type of ['image/jpeg', 'image/webp', 'application/octet-stream']) t.strictSame(await photo(type), [type, taken])
  for (const type of ['image/png', 'text/html', 'video/mp4']) t.strictSame(await photo(type), [type, wrong])
})

t.test('only web addresses are pulled from, and only what the app owns', async (t) => {
  const simulator = await simulatorFor(t, { settings: { init_per_minute: null } })
  const access_token = await connectCreator(simulator, 'mara')
  const init = async (url: string) => (await api(simulator, draftRoute, access_token, pulling(url))).body.error.code
  for (const url of [
    'nonsense',
    'file:///etc/passwd',
    'ftp://127.0.0.1/a.mp4',
    'http://cdn.example.com/a.mp4',
    'http://169.254.169.254/latest/',
    'http://localhost.example.com/a.mp4',
    'https://user:secret@example.com/a.mp4',
  ])
    t.equal(await init(url), 'invalid_params', url)
  t.equal(await init('https://example.com/a.mp4'), 'ok')

  simulator.changeSettings({ verified_urls: ['static.example.com', 'https://example.com/videos/user/'] })
  t.equal(await init('https://video.static.example.com/tiktok/a.mp4'), 'ok')
  t.equal(await init('https://static.example.com/a.mp4'), 'ok')
  t.equal(await init('https://example.com/videos/user/123/a.mp4'), 'ok')
  for (const url of [
    'https://example.com/videos/a.mp4',
    'https://notstatic.example.com/a.mp4',
    'https://static.example.com.evil.test/a',
  ])
    t.equal(await init(url), 'url_ownership_unverified', url)
  const refused = await api(simulator, draftRoute, access_token, pulling('https://example.com/'))
  t.equal(refused.status, 403)
})

t.test('a host that was named is asked, and no other, not even this machine in disguise', async (t) => {
  const simulator = await simulatorFor(t, { settings: { status_per_minute: null, init_per_minute: null } })
  const access_token = await connectCreator(simulator, 'mara')
  const outcome = async () => {
    const { data } = (await api<Begun>(simulator, draftRoute, access_token, pulling('https://[::ffff:127.0.0.1]:1/a.mp4'))).body
    await outcomeOf(simulator, access_token, data.publish_id)
    return simulator.publications.find(data.publish_id)?.note ?? ''
  }
  t.match(await outcome(), /pull_hosts/)
  simulator.changeSettings({ pull_hosts: ['[::ffff:7f00:1]'] })
  t.notMatch(await outcome(), /pull_hosts/, 'the connection itself failed')
})

t.test('a download that is under way can be cancelled, once', async (t) => {
  const simulator = await simulatorFor(t)
  const access_token = await connectCreator(simulator, 'mara')
  const media = await mediaServer(t, (_request, response) => response.write('the beginning'))
  const { publish_id } = (await api<Begun>(simulator, draftRoute, access_token, pulling(media))).body.data
  const cancel = async () => (await api(simulator, '/v2/post/publish/cancel/', access_token, { publish_id })).body.error.code
  t.match((await statusOf(simulator, access_token, publish_id)).body.data, { status: 'PROCESSING_DOWNLOAD' })
  t.equal(await cancel(), 'ok')
  t.match((await statusOf(simulator, access_token, publish_id)).body.data, { status: 'FAILED', fail_reason: 'publish_cancelled' })
  t.equal(await cancel(), 'publish_not_cancellable')
})
