// Where others reach the simulator is where its own links lead, whatever address the caller used.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { request } from 'undici'
import {
  api,
  authorizeUrl,
  type Begun,
  connect,
  connectCreator,
  consent,
  draftRoute,
  fileOf,
  postRoute,
  putBytes,
  receiverFor,
  sim,
  simulatorFor,
  userInfo,
} from './app.ts'
import { operations } from './described.ts'

const publicUrl = 'https://tiktok.example.com'
const pictures = ['avatar_url', 'avatar_url_100', 'avatar_url_200', 'avatar_large_url']

/** Talks to where it listens, as a proxy before it does, and says by which name the caller came. */
async function local(address: string, init: { method?: 'GET' | 'POST'; headers?: Record<string, string>; body?: string } = {}) {
  const { statusCode, headers, body } = await request(address, init)
  return { status: statusCode, headers, text: await body.text() }
}

t.test('every address that is returned is under the public one', async (t) => {
  const { url: webhookUrl, received } = await receiverFor(t)
  const simulator = await simulatorFor(t, { publicUrl, webhookUrl })
  t.equal(simulator.url, publicUrl)
  const here = { ...simulator, url: simulator.localUrl }
  const token = await connectCreator(here, 'mara')
  const told: unknown[] = []

  const links = new Map<string, unknown>()
  const { body } = await userInfo(here, token, pictures.join(','))
  for (const [name, link] of Object.entries((body.data as { user: object }).user)) links.set(name, link)
  const creator = await api<Record<string, string>>(here, '/v2/post/publish/creator_info/query/', token)
  links.set('creator_avatar_url', creator.body.data.creator_avatar_url)
  const videos = await api<{ videos: { cover_image_url: string }[] }>(
    here,
    '/v2/video/list/?fields=id,cover_image_url,share_url,embed_link',
    token,
    {},
  )
  links.set('cover_image_url', videos.body.data.videos[0]?.cover_image_url)
  t.equal(links.size, pictures.length + 2)
  for (const [name, link] of links) {
    const picture = new URL(String(link))
    t.equal(picture.origin, publicUrl, name)
    t.equal((await local(`${simulator.localUrl}${picture.pathname}${picture.search}`)).status, 200, `${name} is there`)
  }
  for (const route of [draftRoute, postRoute]) {
    const post_info = { title: 'x', privacy_level: 'SELF_ONLY' }
    const begun = await api<Begun>(here, route, token, { ...fileOf(5), ...(route === postRoute && { post_info }) })
    const upload = new URL(begun.body.data.upload_url)
    t.equal(upload.origin, publicUrl, route)
    t.equal((await putBytes(`${simulator.localUrl}${upload.pathname}${upload.search}`, 0, 4, 5)).status, 201, 'and takes bytes')
    told.push(begun.body)
  }
  await simulator.webhooks.settled()
  t.ok(received.length > 0)
  told.push(
    body,
    creator.body,
    videos.body,
    received.map((notice) => notice.body),
    consent(here, 'mara').toString(),
  )

  // Whatever else there is to read: nothing tells where it listens.
  for (const { method, path } of operations)
    if (method === 'GET' && !path.includes('{id}')) told.push((await sim(here, 'GET', path.slice('/_sim/'.length))).body)
  t.match((await sim(here, 'GET', 'openapi.json')).body.servers, [{ url: publicUrl }])
  for (const address of [authorizeUrl(here), authorizeUrl(here, { scope: 'x' }), `${simulator.localUrl}/`])
    told.push((await local(address)).text)
  const { host } = new URL(simulator.localUrl)
  for (const one of told) t.notMatch(JSON.stringify(one), host)
})

t.test('pages and their forms work by the public name, and by no other that somebody may own', async (t) => {
  const simulator = await simulatorFor(t, { publicUrl })
  const { localUrl } = simulator
  const page = await local(`${localUrl}/`, { headers: { host: 'tiktok.example.com' } })
  t.equal(page.status, 200)
  const addresses = [...page.text.matchAll(/(?:src|href|action)="([^"]*)"/g)].map(([, address = '']) => address)
  t.ok(addresses.length > 5 && addresses.every((address) => address.startsWith('/')), 'addresses of pages follow the browser')
  const address = authorizeUrl({ ...simulator, url: localUrl })
  const agree = (origin: string) =>
    local(address, { method: 'POST', headers: { host: 'tiktok.example.com', origin }, body: 'person=mara' })
  t.equal((await agree(publicUrl)).status, 303, 'though the proxy before us said nothing of https')
  t.equal((await agree('https://evil.example')).status, 403)
  const stats = (host: string) => local(`${localUrl}/_sim/stats`, { headers: { host } })
  t.equal((await stats('tiktok.example.com')).status, 200)
  t.equal((await stats('evil.example')).status, 403)
  t.equal((await local(`${localUrl}/`, { headers: { host: 'evil.example' } })).status, 403)
})

t.test('who comes by one of TikTok’s own names stays there', async (t) => {
  const simulator = await simulatorFor(t, { publicUrl })
  const { access_token } = await connect({ ...simulator, url: simulator.localUrl }, 'mara')
  const { text } = await local(`${simulator.localUrl}/v2/user/info/?fields=avatar_url`, {
    headers: { authorization: `Bearer ${access_token}`, host: 'open.tiktokapis.com', 'x-forwarded-proto': 'https' },
  })
  t.match(text, '"https://open.tiktokapis.com/avatars/mara/')
})

t.test('a public address has neither path nor password, and is no other kind of address', async (t) => {
  for (const wrong of [
    'tiktok.example.com',
    'https://x.example/tiktok',
    'https://x.example/?a',
    'https://u:p@x.example',
    'ftp://x.example',
  ])
    await t.rejects(simulatorFor(t, { publicUrl: wrong }), /has to be like https:/, wrong)
})

t.test('what the command prints is under the public address, but for where it listens and the proxy', async (t) => {
  const room = fileURLToPath(new URL('../src/command.ts', import.meta.url))
  const argv = ['--port', '0', '--public-url', publicUrl, '--as-tiktok']
  const script = `import { runSimulator } from ${JSON.stringify(room)}; await runSimulator(${JSON.stringify(argv)})`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  for await (const chunk of child.stdout) {
    text += chunk
    if (/curl --proxy .*\n/.test(text)) break
  }
  child.kill('SIGTERM')
  await once(child, 'exit')
  const [greeting = '', asTikTok = ''] = text.split('As TikTok itself')
  const [, localUrl = ''] = /, listening at (\S+)/.exec(greeting) ?? []
  t.match(greeting, `TikTok simulator at ${publicUrl}, listening at http://127.0.0.1:`)
  t.match(greeting, `TIKTOK_AUTH_BASE_URL=${publicUrl}\n  TIKTOK_API_BASE_URL=${publicUrl}\n`)
  t.notMatch(greeting.replace(localUrl, ''), new URL(localUrl).host)
  t.match(asTikTok, `HTTPS_PROXY=${localUrl}`)
})
