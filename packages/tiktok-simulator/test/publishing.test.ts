// Direct posts and photos, what creator info says of them, and the life of a publication with its notices.
import t from 'tap'
import type { Simulator, SimulatorOptions } from '../src/server.ts'
import {
  api,
  type Begun,
  connectCreator,
  draftRoute,
  fileOf,
  mediaServer,
  photoRoute,
  postRoute,
  putBytes,
  receiverFor,
  sim,
  simulatorFor,
  statusOf,
} from './app.ts'

const forEveryone = { title: 'A day at the sea', privacy_level: 'PUBLIC_TO_EVERYONE' }
const forMyself = { title: 'A draft of a day', privacy_level: 'SELF_ONLY' }

async function creatorAt(t: Parameters<typeof simulatorFor>[0], options: SimulatorOptions = {}, person = 'mara') {
  const { url, received } = await receiverFor(t)
  const simulator = await simulatorFor(t, { webhookUrl: url, ...options })
  const token = await connectCreator(simulator, person)
  const notices = async () => {
    await simulator.webhooks.settled()
    return received.map(({ body }) => {
      const { event, content } = JSON.parse(body)
      return { event, ...JSON.parse(content) }
    })
  }
  return { simulator, token, notices }
}

/** @returns the code it was refused with, or ok */
async function outcome(answer: Promise<{ status: number; body: { error: { code: string } } }>) {
  const { status, body } = await answer
  return `${status} ${body.error.code}`
}

async function upload(simulator: Simulator, token: unknown, route: string, post_info?: object): Promise<string> {
  const { data } = (await api<Begun>(simulator, route, token, { ...(post_info && { post_info }), ...fileOf(3) })).body
  await putBytes(data.upload_url, 0, 2, 3)
  return data.publish_id
}

const step = (simulator: Simulator, publishId: string, body: object) => sim(simulator, 'POST', `publications/${publishId}`, body)

t.test('a direct post is processed, posted, let through by moderation and hidden again, each told once', async (t) => {
  const { simulator, token, notices } = await creatorAt(t, { settings: { processing_seconds: 20, moderation_seconds: 60 } })
  const publish_id = await upload(simulator, token, postRoute, forEveryone)
  t.match(publish_id, /^v_pub_file~v2-1\.\d{19}$/)
  const status = async () => (await statusOf(simulator, token, publish_id)).body.data
  t.match(await status(), { status: 'PROCESSING_UPLOAD', uploaded_bytes: 3 })
  simulator.clock.advance(19)
  t.strictSame(await notices(), [])
  simulator.clock.advance(1)
  t.match(await status(), { status: 'PUBLISH_COMPLETE', publicaly_available_post_id: [] })
  const told = { publish_id, publish_type: 'DIRECT_PUBLISH' }
  t.strictSame(await notices(), [{ event: 'post.publish.complete', ...told }])
  simulator.clock.advance(60)

  const text = await fetch(`${simulator.url}/v2/post/publish/status/fetch/`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ publish_id }),
  }).then((answer) => answer.text())
  const [, post_id] = /"publicaly_available_post_id":\[(\d{19})\]/.exec(text) ?? []
  t.ok(post_id, 'as a number, which JavaScript has to read with care')
  t.strictSame((await notices()).at(-1), { event: 'post.publish.publicly_available', ...told, post_id })

  t.equal((await step(simulator, publish_id, { step: 'hide' })).status, 200)
  t.match(await status(), { status: 'PUBLISH_COMPLETE', publicaly_available_post_id: [] })
  simulator.clock.advance(86_400)
  t.strictSame((await notices()).slice(2), [{ event: 'post.publish.no_longer_publicaly_available', ...told, post_id }])
})

t.test('time that passes by itself takes the steps, too', async (t) => {
  const { simulator, token } = await creatorAt(t, { settings: { processing_seconds: 0.01 } })
  const publish_id = await upload(simulator, token, draftRoute)
  const status = async () => (await statusOf(simulator, token, publish_id)).body.data.status
  simulator.changeSettings({ status_per_minute: null })
  while ((await status()) === 'PROCESSING_UPLOAD') await simulator.webhooks.settled()
  t.equal(await status(), 'SEND_TO_USER_INBOX')
})

t.test('a post for the person alone is never told as public, unless they make it so', async (t) => {
  const { simulator, token, notices } = await creatorAt(t)
  const publish_id = await upload(simulator, token, postRoute, forMyself)
  simulator.clock.advance(86_400)
  t.match(await notices(), [{ event: 'post.publish.complete' }])
  await step(simulator, publish_id, { step: 'show' })
  await step(simulator, publish_id, { step: 'show' })
  t.match(
    (await notices()).map(({ event }) => event),
    ['post.publish.complete', 'post.publish.publicly_available'],
  )
})

t.test('the person posts a draft from the inbox, and may do so again', async (t) => {
  const { simulator, token, notices } = await creatorAt(t)
  const publish_id = await upload(simulator, token, draftRoute)
  t.equal((await step(simulator, publish_id, { step: 'post' })).status, 200)
  t.equal((await step(simulator, publish_id, { step: 'post', privacy_level: 'SELF_ONLY' })).status, 200)
  t.match((await statusOf(simulator, token, publish_id)).body.data, { status: 'PUBLISH_COMPLETE' })
  const told = await notices()
  t.strictSame(
    told.map(({ event }) => event).sort(),
    ['complete', 'complete', 'inbox_delivered', 'publicly_available'].map((event) => `post.publish.${event}`),
  )
  for (const notice of told) t.match(notice, { publish_id, publish_type: 'INBOX_SHARE' })
})

t.test('the front page shows the drafts that wait, with the button of their person', async (t) => {
  const { simulator, token } = await creatorAt(t)
  const page = async () => (await fetch(`${simulator.url}/`)).text()
  t.notMatch(await page(), 'Drafts in inboxes')
  const publish_id = await upload(simulator, token, draftRoute)
  const [, action = ''] = /<form method="post" action="(\/publications\/[^"]+)"/.exec(await page()) ?? []
  t.match(action, publish_id)
  const press = (headers = {}) => fetch(simulator.url + action, { method: 'POST', headers, redirect: 'manual' })
  t.equal((await press({ origin: 'https://elsewhere.example' })).status, 403, 'not for the page of somebody else')
  t.equal((await press()).status, 303)
  t.match((await statusOf(simulator, token, publish_id)).body.data, { status: 'PUBLISH_COMPLETE' })
  t.notMatch(await page(), 'Drafts in inboxes')
  t.equal((await press()).status, 404)
})

t.test('a step at a time: every publication can be led from outside, and fails once', async (t) => {
  const { simulator, token, notices } = await creatorAt(t, { settings: { processing_seconds: 600, moderation_seconds: 600 } })
  const first = (await api<Begun>(simulator, draftRoute, token, fileOf(3))).body.data.publish_id
  const walked = []
  for (let count = 0; count < 4; count += 1) {
    const { status, body } = await step(simulator, first, { step: 'advance' })
    walked.push(status === 200 ? body.status : status)
  }
  t.strictSame(walked, ['SEND_TO_USER_INBOX', 'PUBLISH_COMPLETE', 'PUBLISH_COMPLETE', 409])
  t.equal((await notices()).length, 3)

  const second = await upload(simulator, token, postRoute, forEveryone)
  t.equal((await step(simulator, second, { step: 'post' })).status, 409, 'only a draft waits for its person')
  t.equal((await step(simulator, second, { step: 'fail', reason: 'picture_size_check_failed' })).status, 200)
  t.equal((await step(simulator, second, { step: 'fail' })).status, 409)
  simulator.clock.advance(86_400)
  const access_token = await connectCreator(simulator, 'mara')
  const { data } = (await statusOf(simulator, access_token, second)).body
  t.match(data, { status: 'FAILED', fail_reason: 'picture_size_check_failed' })
  t.match((await notices()).slice(3), [{ event: 'post.publish.failed', publish_id: second, reason: 'picture_size_check_failed' }])

  t.match((await sim(simulator, 'GET', 'publications?person=mara')).body, {
    publications: [{ publish_id: first }, { publish_id: second, fail_reason: 'picture_size_check_failed' }],
  })
  t.match((await sim(simulator, 'GET', 'publications?person=jonas')).body, { publications: [] })
  t.equal((await sim(simulator, 'GET', `publications/${first}`)).status, 200)
  t.equal((await step(simulator, 'v_pub_file~v2-1.0', { step: 'advance' })).status, 404)
  t.equal((await step(simulator, first, { step: 'fail', reason: 'boredom' })).status, 400)
})

t.test('who takes the permission back ends what is on its way', async (t) => {
  const { simulator, token, notices } = await creatorAt(t, { settings: { processing_seconds: 60 } })
  const publish_id = await upload(simulator, token, draftRoute)
  simulator.removeApp('mara')
  const access_token = await connectCreator(simulator, 'mara')
  t.match((await statusOf(simulator, access_token, publish_id)).body.data, { status: 'FAILED', fail_reason: 'auth_removed' })
  t.match((await notices()).map(({ event }) => event).sort(), ['authorization.removed', 'post.publish.failed'])
})

t.test('a direct post is held to scope, title, privacy and who may post', async (t) => {
  const { simulator, token } = await creatorAt(t, { settings: { init_per_minute: null } })
  const post = (post_info?: object, as = token) =>
    outcome(api(simulator, postRoute, as, { ...(post_info && { post_info }), ...fileOf(3) }))
  const person = (creator: object) => sim(simulator, 'PATCH', 'people/mara', { creator })

  t.equal(await post(forEveryone), '200 ok')
  t.equal(await post(), '400 invalid_params')
  t.equal(await post({ ...forEveryone, title: 'x'.repeat(2200) }), '200 ok')
  t.equal(await post({ ...forEveryone, title: 'x'.repeat(2201) }), '400 invalid_params')
  t.equal(await post({ ...forEveryone, disable_comment: 'yes' }), '400 invalid_params')
  t.equal(await post({ title: 'no level' }), '403 privacy_level_option_mismatch')
  t.equal(await post({ privacy_level: 'FOLLOWER_OF_CREATOR' }), '403 privacy_level_option_mismatch')
  await person({ is_private: true })
  t.equal(await post({ privacy_level: 'FOLLOWER_OF_CREATOR' }), '200 ok')
  t.equal(await post(forEveryone), '403 privacy_level_option_mismatch')

  simulator.changeSettings({ audit: 'private_account' })
  t.equal(await post(forMyself), '200 ok')
  await person({ is_private: false })
  t.equal(await post(forMyself), '403 unaudited_client_can_only_post_to_private_accounts')
  simulator.changeSettings({ audit: 'self_only' })
  t.equal(await post(forMyself), '200 ok')
  t.equal(await post(forEveryone), '403 unaudited_client_can_only_post_to_private_accounts')
  simulator.changeSettings({ audit: 'passed' })

  await person({ banned_from_posting: true })
  t.equal(await post(forEveryone), '403 spam_risk_user_banned_from_posting')
  t.equal(await outcome(api(simulator, draftRoute, token, fileOf(3))), '403 spam_risk_user_banned_from_posting')
  t.equal(await post(forEveryone, await connectCreator(simulator, 'mara', ['video.publish'])), '401 scope_not_authorized')
  t.equal(await post(forEveryone, 'act.unknown'), '401 access_token_invalid')
})

t.test('the caps of a day are per creator and per app, and creator info tells of them with a 200', async (t) => {
  const { simulator, token } = await creatorAt(t, { settings: { posts_per_day: 2, lifetimes: '7d/180d' } })
  const other = await connectCreator(simulator, 'jonas')
  const post = (as: unknown) => outcome(api(simulator, postRoute, as, { post_info: forMyself, ...fileOf(3) }))
  const info = (as: unknown) => outcome(api(simulator, '/v2/post/publish/creator_info/query/', as))
  t.equal(await post(token), '200 ok')
  t.equal(await info(token), '200 ok')
  t.equal(await post(token), '200 ok')
  t.equal(await post(token), '403 spam_risk_too_many_posts')
  t.equal(await info(token), '200 spam_risk_too_many_posts')
  simulator.changeSettings({ posts_per_day: null, active_users_per_day: 1 })
  t.equal(await post(token), '200 ok', 'who is active already goes on')
  t.equal(await post(other), '403 reached_active_user_cap')
  t.equal(await info(other), '200 reached_active_user_cap')
  t.equal(await outcome(api(simulator, draftRoute, other, fileOf(3))), '200 ok', 'drafts are not counted')
  simulator.clock.advance(86_400)
  t.equal(await post(other), '200 ok')
})

t.test('creator info says how the person may post', async (t) => {
  const { simulator, token } = await creatorAt(t)
  const info = async () => (await api(simulator, '/v2/post/publish/creator_info/query/', token)).body.data
  const public_ = await info()
  t.match(public_, {
    creator_username: 'maracooks',
    creator_nickname: 'Mara Cooks',
    privacy_level_options: ['PUBLIC_TO_EVERYONE', 'MUTUAL_FOLLOW_FRIENDS', 'SELF_ONLY'],
    comment_disabled: false,
    duet_disabled: false,
    stitch_disabled: false,
    max_video_post_duration_sec: 600,
  })
  t.equal((await fetch(String(public_.creator_avatar_url))).status, 200)
  await sim(simulator, 'PATCH', 'people/mara', { creator: { is_private: true, comment_disabled: true } })
  t.match(await info(), {
    privacy_level_options: ['FOLLOWER_OF_CREATOR', 'MUTUAL_FOLLOW_FRIENDS', 'SELF_ONLY'],
    comment_disabled: true,
    duet_disabled: true,
    stitch_disabled: true,
  })
  const access_token = await connectCreator(simulator, 'mara', ['video.publish'])
  t.equal(await outcome(api(simulator, '/v2/post/publish/creator_info/query/', access_token)), '401 scope_not_authorized')
})

t.test('creator info may be asked twenty times a minute with a token, and the status thirty times', async (t) => {
  const { simulator, token } = await creatorAt(t)
  const publish_id = await upload(simulator, token, draftRoute)
  const asks = {
    20: () => api(simulator, '/v2/post/publish/creator_info/query/', token),
    30: () => statusOf(simulator, token, publish_id),
  }
  for (const [limit, ask] of Object.entries(asks)) {
    const answers = await Promise.all(Array.from({ length: Number(limit) + 1 }, ask))
    t.strictSame(
      answers.map(({ status }) => status),
      [...Array(Number(limit)).fill(200), 429],
    )
  }
})

t.test('a status is for a living token of the person who publishes', async (t) => {
  const { simulator, token } = await creatorAt(t)
  const publish_id = await upload(simulator, token, draftRoute)
  const other = await connectCreator(simulator, 'jonas')
  t.equal(await outcome(statusOf(simulator, other, publish_id)), '400 token_not_authorized_for_specified_publish_id')
  t.equal(await outcome(statusOf(simulator, token, 'v_inbox_file~v2.1')), '400 invalid_publish_id')
  t.equal(await outcome(statusOf(simulator, 'act.unknown', publish_id)), '401 access_token_invalid')
  const reader = await connectCreator(simulator, 'mara', ['video.upload', 'video.publish'])
  t.equal(await outcome(statusOf(simulator, reader, publish_id)), '401 scope_not_authorized')
})

t.test('photos are pulled, and posted or put into the inbox', async (t) => {
  const { simulator, token, notices } = await creatorAt(t, { settings: { init_per_minute: null } })
  const photo = `${await mediaServer(t, (_request, response) => response.writeHead(200, { 'content-type': 'image/jpeg' }).end('JPEG'))}/a.jpg`
  const init = (changes: object, as = token) =>
    api<Begun>(simulator, photoRoute, as, {
      media_type: 'PHOTO',
      post_mode: 'MEDIA_UPLOAD',
      post_info: { title: 'Two of them' },
      source_info: { source: 'PULL_FROM_URL', photo_images: [photo, photo], photo_cover_index: 1 },
      ...changes,
    })
  const draft = await init({})
  t.match(draft.body.data, { publish_id: /^p_inbox_url~v2\.\d{19}$/, upload_url: undefined })
  const post = await init({ post_mode: 'DIRECT_POST', post_info: forEveryone })
  t.match(post.body.data, { publish_id: /^p_pub_url~v2\.\d{19}$/ })
  while ((await notices()).length < 3) await statusOf(simulator, token, draft.body.data.publish_id)
  t.strictSame((await notices()).map(({ event }) => event).sort(), [
    'post.publish.complete',
    'post.publish.inbox_delivered',
    'post.publish.publicly_available',
  ])

  const from = (source_info: object) => outcome(init({ source_info }))
  t.equal(await from({ source: 'FILE_UPLOAD', photo_images: [photo] }), '400 invalid_params')
  t.equal(await from({ source: 'PULL_FROM_URL', photo_images: [] }), '400 invalid_params')
  t.equal(await from({ source: 'PULL_FROM_URL', photo_images: Array(36).fill(photo) }), '400 invalid_params')
  t.equal(await from({ source: 'PULL_FROM_URL', photo_images: [photo], photo_cover_index: 1 }), '400 invalid_params')
  t.equal(await outcome(init({ media_type: 'VIDEO' })), '400 invalid_params')
  t.equal(await outcome(init({ post_mode: 'DIRECT POST' })), '400 invalid_params')
  t.equal(await outcome(init({ post_info: { title: 'x'.repeat(91) } })), '400 invalid_params')
  t.equal(await outcome(init({ post_info: { description: 'x'.repeat(4001) } })), '400 invalid_params')
  t.equal(await outcome(init({ post_mode: 'DIRECT_POST' })), '403 privacy_level_option_mismatch')
  const scoped = (declined: string) => connectCreator(simulator, 'mara', [declined])
  t.equal(await outcome(init({}, await scoped('video.upload'))), '401 scope_not_authorized')
  t.equal(
    await outcome(init({ post_mode: 'DIRECT_POST', post_info: forEveryone }, await scoped('video.publish'))),
    '401 scope_not_authorized',
  )
})

t.test('a chunk, a status, creator info and videos can be broken as everything can', async (t) => {
  const { simulator, token } = await creatorAt(t)
  const { data } = (await api<Begun>(simulator, draftRoute, token, fileOf(3))).body
  simulator.faults.add({ route: 'chunk', status: 503, match: { person: 'mara' } })
  t.equal((await putBytes(data.upload_url, 0, 2, 3)).status, 503)
  simulator.faults.add({ route: 'chunk', reset: 'after' })
  await t.rejects(putBytes(data.upload_url, 0, 2, 3))
  t.equal((await putBytes(data.upload_url, 0, 2, 3)).status, 404, 'it had been taken')
  for (const [route, ask] of Object.entries({
    status: () => statusOf(simulator, token, data.publish_id),
    creator_info: () => api(simulator, '/v2/post/publish/creator_info/query/', token),
    videos: () => api(simulator, '/v2/video/list/?fields=id', token, {}),
  })) {
    simulator.faults.add({ route: route as 'status', error: 'internal_error' })
    t.equal(await outcome(ask()), '500 internal_error', route)
    t.equal(await outcome(ask()), '200 ok', route)
  }
})
