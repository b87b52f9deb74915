// The videos of a person: those that were posted here, and as many older ones as their profile counts.
import t from 'tap'
import { api, type Begun, connectCreator, fileOf, postRoute, putBytes, sim, simulatorFor, userInfo } from './app.ts'

interface Page {
  videos: Record<string, unknown>[]
  cursor: number
  has_more: boolean
}

const all =
  'id,create_time,cover_image_url,share_url,video_description,duration,height,width,title,embed_html,embed_link,like_count,comment_count,share_count,view_count'

t.test('all videos come in pages, newest first, each once, as many as the profile says', async (t) => {
  const simulator = await simulatorFor(t)
  const access_token = await connectCreator(simulator, 'zsofia')
  const seen: Record<string, unknown>[] = []
  let page: Page = { videos: [], cursor: 0, has_more: true }
  while (page.has_more) {
    const body = { max_count: 20, ...(page.cursor && { cursor: page.cursor }) }
    page = (await api<Page>(simulator, '/v2/video/list/?fields=id,create_time', access_token, body)).body.data
    seen.push(...page.videos)
  }
  t.equal(seen.length, 52)
  t.equal(new Set(seen.map(({ id }) => id)).size, 52)
  const times = seen.map(({ create_time }) => Number(create_time))
  t.strictSame(
    times,
    [...times].sort((one, other) => other - one),
  )

  const { data } = (await api<Page>(simulator, `/v2/video/list/?fields=${all}`, access_token)).body
  t.equal(data.videos.length, 10)
  t.strictSame(Object.keys(data.videos[0] ?? {}), all.split(','))
  t.equal((await fetch(String(data.videos[0]?.cover_image_url))).status, 200)
})

t.test('a public post is the newest video, and not there any more when it is hidden', async (t) => {
  const simulator = await simulatorFor(t)
  const access_token = await connectCreator(simulator, 'newcomer')
  const list = async () => (await api<Page>(simulator, '/v2/video/list/?fields=id,title', access_token, {})).body.data
  const count = async () => (await userInfo(simulator, access_token, 'video_count')).body.data
  t.match(await list(), { videos: [], has_more: false })
  const post_info = { title: 'My first', privacy_level: 'PUBLIC_TO_EVERYONE' }
  const { data } = (await api<Begun>(simulator, postRoute, access_token, { post_info, ...fileOf(3) })).body
  await putBytes(data.upload_url, 0, 2, 3)
  const { videos } = await list()
  t.match(videos, [{ id: /^7\d{18}$/, title: 'My first' }])
  t.match(await count(), { user: { video_count: 1 } })
  const query = (...video_ids: unknown[]) =>
    api<Page>(simulator, '/v2/video/query/?fields=title', access_token, { filters: { video_ids } })
  t.match((await query(videos[0]?.id)).body.data, { videos: [{ title: 'My first' }] })
  await sim(simulator, 'POST', `publications/${data.publish_id}`, { step: 'hide' })
  t.match(await list(), { videos: [], has_more: false })
  t.strictSame((await query(videos[0]?.id)).body.data, { videos: [] })
  t.match(await count(), { user: { video_count: 0 } })
})

t.test('a question about videos finds those of the person only', async (t) => {
  const simulator = await simulatorFor(t)
  const ids = async (person: string) => {
    const access_token = await connectCreator(simulator, person)
    const { data } = (await api<Page>(simulator, '/v2/video/list/?fields=id', access_token, {})).body
    return { access_token, ids: data.videos.map(({ id }) => id) }
  }
  const mara = await ids('mara')
  const jonas = await ids('jonas')
  const query = (video_ids: unknown[]) =>
    api<Page>(simulator, '/v2/video/query/?fields=id', mara.access_token, { filters: { video_ids } })
  t.strictSame(
    (await query([...jonas.ids, ...mara.ids])).body.data.videos.map(({ id }) => id),
    mara.ids,
  )
  t.equal((await query([])).status, 400)
  t.equal((await query(Array(21).fill(mara.ids[0]))).status, 400)
})

t.test('videos need their scope, known fields and a small page', async (t) => {
  const simulator = await simulatorFor(t)
  const access_token = await connectCreator(simulator, 'mara')
  const other = await connectCreator(simulator, 'mara', ['video.list'])
  const list = async (token: unknown, query = '?fields=id', body = {}) => {
    const answer = await api(simulator, `/v2/video/list/${query}`, token, body)
    return `${answer.status} ${answer.body.error.code}`
  }
  t.equal(await list(other), '401 scope_not_authorized')
  t.equal(await list('act.unknown'), '401 access_token_invalid')
  t.equal(await list(access_token, ''), '400 invalid_params')
  t.equal(await list(access_token, '?fields=id,fps'), '400 invalid_params')
  t.equal(await list(access_token, '?fields=id', { max_count: 21 }), '400 invalid_params')
  simulator.changeSettings({ videos_per_minute: 1 })
  t.equal(await list(access_token), '200 ok')
  t.equal(await list(access_token), '429 rate_limit_exceeded')
})
