// Where others reach the simulator is where its own links lead, whatever address the caller used.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { request } from 'undici'
import { authorizeUrl, connect, consent, sim, simulatorFor, userInfo } from './app.ts'

const publicUrl = 'https://tiktok.example.com'
const pictures = ['avatar_url', 'avatar_url_100', 'avatar_url_200', 'avatar_large_url']

/** Talks to where it listens, as a proxy before it does, and says by which name the caller came. */
async function local(address: string, init: { method?: 'GET' | 'POST'; headers?: Record<string, string>; body?: string } = {}) {
  const { statusCode, headers, body } = await request(address, init)
  return { status: statusCode, headers, text: await body.text() }
}

t.test('every address that is returned is under the public one', async (t) => {
  const simulator = await simulatorFor(t, { publicUrl })
  t.equal(simulator.url, publicUrl)
  const here = { ...simulator, url: simulator.localUrl }
  const { access_token } = await connect(here, 'mara')

  const { body } = await userInfo(here, access_token, pictures.join(','))
  const { user } = body.data as { user: Record<string, string> }
  for (const name of pictures) {
    const picture = new URL(user[name] ?? '')
    t.equal(picture.origin, publicUrl, name)
    t.equal((await local(`${simulator.localUrl}${picture.pathname}${picture.search}`)).status, 200, `${name} is there`)
  }
  const init = await local(`${simulator.localUrl}/v2/post/publish/inbox/video/init/`, {
    method: 'POST',
    headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json; charset=UTF-8' },
    body: JSON.stringify({ source_info: { source: 'FILE_UPLOAD', video_size: 5, chunk_size: 5, total_chunk_count: 1 } }),
  })
  t.match(init.text, `"upload_url":"${publicUrl}/video/?upload_id=`)

  // Whatever else there is to read: nothing tells where it listens.
  const { host } = new URL(simulator.localUrl)
  const texts = [init.text, JSON.stringify(body), consent(here, 'mara').toString()]
  for (const path of ['people', 'grants?reveal=1', 'settings', 'webhooks', 'stats'])
    texts.push(JSON.stringify((await sim(here, 'GET', path)).body))
  for (const address of [authorizeUrl(here), authorizeUrl(here, { scope: 'x' }), `${simulator.localUrl}/`])
    texts.push((await local(address)).text)
  for (const text of texts) t.notMatch(text, host)
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
