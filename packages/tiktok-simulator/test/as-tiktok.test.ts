// TikTok under its own names: what reaches it, what does not, and what is found at which host.
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect, type PeerCertificate } from 'node:tls'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { certificateFor } from '../src/certificate.ts'
import type { Simulator } from '../src/server.ts'
import { simulatorFor } from './app.ts'

const preload = join(import.meta.dirname, '../src/preload.ts')

async function tiktokFor(t: Test, allowHosts: string[] = []) {
  const refused: string[] = []
  const simulator = await simulatorFor(t, { asTikTok: { allowHosts, onRefused: (host) => refused.push(host) } })
  const folder = t.testdir({ 'ca.pem': simulator.asTikTok?.authority ?? '' })
  return { simulator, refused, certificate: join(folder, 'ca.pem') }
}

/** A client in a process of its own, for certificates and proxies are read at its start. @returns what it prints, as JSON */
async function client(script: string, variables: Record<string, string>, ...loaders: string[]) {
  const args = ['-u', 'NODE_OPTIONS', process.execPath, ...loaders, '--input-type=module', '--eval', script]
  const { PATH = '' } = process.env
  const { stdout } = await promisify(execFile)('/usr/bin/env', args, { env: { PATH, ...variables } })
  return JSON.parse(stdout)
}

/** As any client would write it that knows TikTok's addresses by heart. */
const life = `
const form = (path, fields) => fetch('https://open.tiktokapis.com/v2/oauth/' + path + '/', {
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams({ client_key: 'awsimulator00001', client_secret: 'SimulatorSecretNotForProduction1', ...fields }).toString(),
}).then((answer) => answer.json())
const page = 'https://www.tiktok.com/v2/auth/authorize/?' + new URLSearchParams({ client_key: 'awsimulator00001', response_type: 'code',
  scope: 'user.info.basic,video.upload', redirect_uri: 'https://app.example.com/callback', state: 's' })
const consent = await fetch(page, { method: 'POST', body: new URLSearchParams({ person: 'mara' }), redirect: 'manual' })
const code = new URL(consent.headers.get('location')).searchParams.get('code')
const tokens = await form('token', { grant_type: 'authorization_code', code, redirect_uri: 'https://app.example.com/callback' })
const user = await fetch('https://open.tiktokapis.com/v2/user/info/?fields=display_name,avatar_url',
  { headers: { authorization: 'Bearer ' + tokens.access_token } }).then((answer) => answer.json())
const { avatar_url, display_name } = user.data.user
const picture = await fetch(avatar_url)
const draft = await fetch('https://open.tiktokapis.com/v2/post/publish/inbox/video/init/', {
  method: 'POST',
  headers: { authorization: 'Bearer ' + tokens.access_token, 'content-type': 'application/json; charset=UTF-8' },
  body: JSON.stringify({ source_info: { source: 'FILE_UPLOAD', video_size: 3, chunk_size: 3, total_chunk_count: 1 } }),
}).then((answer) => answer.json())
const { upload_url } = draft.data
const video = { method: 'PUT', headers: { 'content-type': 'video/mp4', 'content-range': 'bytes 0-2/3' }, body: 'abc' }
const misled = await fetch(upload_url.replace('open-upload', 'open'), video)
const sent = await fetch(upload_url, video)
const refreshed = await form('token', { grant_type: 'refresh_token', refresh_token: tokens.refresh_token })
const revoked = await form('revoke', { token: refreshed.access_token })
const dead = await form('token', { grant_type: 'refresh_token', refresh_token: refreshed.refresh_token })
console.log(JSON.stringify({ display_name, avatar_url, picture: picture.headers.get('content-type'), upload_url,
  misled: misled.status, sent: sent.status, revoked, dead: dead.error }))
`
const lived = {
  display_name: 'Mara Cooks',
  avatar_url: /^https:\/\/open\.tiktokapis\.com\/avatars\//,
  picture: 'image/png',
  upload_url: /^https:\/\/open-upload\.tiktokapis\.com\/video\/\?upload_id=/,
  misled: 404,
  sent: 201,
  revoked: {},
  dead: 'invalid_grant',
}

t.test('a client with TikTok built in lives its whole life here, through the proxy that Node reads', async (t) => {
  const { simulator, refused, certificate } = await tiktokFor(t)
  const proxied = { NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: simulator.url, NODE_EXTRA_CA_CERTS: certificate }
  t.match(await client(life, proxied), lived)
  t.strictSame(refused, [])
  const stranger = await client(
    `console.log(JSON.stringify(await fetch('https://example.com/').catch(({ cause }) => cause.message)))`,
    proxied,
  )
  t.type(stranger, 'string', 'Node tells its caller no reason; the simulator says it')
  t.strictSame(refused, ['example.com:443'])
})

t.test('and with any library, through the preload, which leaves every other address alone', async (t) => {
  const { simulator, certificate } = await tiktokFor(t)
  const led = { TIKTOK_SIMULATOR: `127.0.0.1:${simulator.asTikTok?.tlsPort}`, NODE_EXTRA_CA_CERTS: certificate }
  t.match(await client(life, led, '--import', preload), lived)
  const health = `console.log(JSON.stringify(await fetch('${simulator.url}/_sim/health').then((answer) => answer.json())))`
  t.strictSame(await client(health, led, '--import', preload), { status: 'ok' })
  await t.rejects(client(health, {}, '--import', preload), /TIKTOK_SIMULATOR=HOST:PORT/)
})

t.test('the proxy says why it lets nobody else through, and lets through whom it was told to', async (t) => {
  const elsewhere = createServer((_request, response) => void response.end('elsewhere'))
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
  t.teardown(() => elsewhere.close())
  const { port } = elsewhere.address() as AddressInfo

  const { simulator } = await tiktokFor(t)
  const [status, said] = await tunnel(simulator, `127.0.0.1:${port}`)
  t.equal(status, 403)
  t.match(said, /leads to TikTok's hosts only.*--allow-host 127\.0\.0\.1/)
  t.equal((await tunnel(simulator, 'www.tiktok.com:80'))[0], 403, 'TikTok speaks TLS')
  t.equal((await tunnel(simulator, 'tiktok.com.example.com:443'))[0], 403)
  t.equal((await tunnel(simulator, 'nottiktok.com:443'))[0], 403)
  t.equal((await tunnel(simulator, ':::'))[0], 400)
  t.equal((await tunnel(simulator, 'open-upload.tiktokapis.com:443'))[0], 200)

  const { simulator: open } = await tiktokFor(t, ['127.0.0.1'])
  t.strictSame(await tunnel(open, `127.0.0.1:${port}`), [200, 'elsewhere'])
})

t.test('consent is at one host and the API at another, and control is at neither', async (t) => {
  const { simulator } = await tiktokFor(t)
  t.strictSame(await overTls(simulator, 'open.tiktokapis.com', '/v2/auth/authorize/'), [404, 'Unsupported path(Janus)'])
  t.strictSame(await overTls(simulator, 'www.tiktok.com', '/v2/user/info/'), [404, 'Unsupported path(Janus)'])
  t.equal((await overTls(simulator, 'www.tiktok.com', '/v2/auth/authorize/'))[0], 400)
  t.equal((await overTls(simulator, 'www.tiktok.com', '/_sim/people'))[0], 403)
  t.equal((await overTls(simulator, 'www.tiktok.com', '/'))[0], 403)
})

t.test('the authority is new at every start, and can vouch for TikTok only', async (t) => {
  const one = certificateFor(['tiktok.com', 'tiktokapis.com'])
  const leaf = new X509Certificate(one.certificate)
  const authority = new X509Certificate(one.authority)
  t.ok(leaf.verify(authority.publicKey) && leaf.checkIssued(authority) && authority.ca && !leaf.ca)
  t.equal(leaf.subjectAltName, 'DNS:tiktok.com, DNS:*.tiktok.com, DNS:tiktokapis.com, DNS:*.tiktokapis.com')
  const beyond = certificateFor(['example.com'])
  t.not(beyond.authority, certificateFor(['example.com']).authority)

  const { simulator } = await tiktokFor(t)
  const ca = simulator.asTikTok?.authority ?? ''
  const met = (servername: string, trusted: string) =>
    new Promise<PeerCertificate | string>((resolve) => {
      const socket = connect({ host: '127.0.0.1', port: simulator.asTikTok?.tlsPort ?? 0, servername, ca: trusted }, () => {
        resolve(socket.getPeerCertificate())
        socket.destroy()
      }).on('error', ({ message }) => resolve(message))
    })
  t.match(await met('open-upload.tiktokapis.com', ca), { subject: { CN: 'tiktok.com' } })
  t.match(await met('open.tiktokapis.com', beyond.authority), /verify|issuer/)
  t.match(await met('example.com', ca), /Hostname/)
})

t.test('the command prints the lines, and the file holds the certificate', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  writeFileSync(file, 'an older one')
  const room = join(import.meta.dirname, '../src/command.ts')
  const { stdout } = await promisify(execFile)('/usr/bin/env', [
    ...['-u', 'NODE_OPTIONS', process.execPath, '--input-type=module', '--eval'],
    `import { runSimulator } from ${JSON.stringify(room)}
    const write = process.stdout.write.bind(process.stdout)
    process.stdout.write = (text) => { write(text); if (/curl --proxy/.test(text)) setImmediate(() => process.kill(process.pid, 'SIGTERM')); return true }
    await runSimulator(['--port', '0', '--as-tiktok', '--ca-file', ${JSON.stringify(file)}])`,
  ])
  for (const line of ['Node 24', 'any Node', 'Python', 'PHP', 'curl']) t.match(stdout, new RegExp(`^ {2}${line} .*${file}`, 'm'))
  t.match(readFileSync(file, 'utf8'), /^-----BEGIN CERTIFICATE-----/)
})

/** @returns the proxy's status, and its sentence or what the host behind says to a GET */
function tunnel(simulator: Simulator, to: string): Promise<[status: number | undefined, text: string]> {
  const { hostname, port } = new URL(simulator.url)
  return new Promise((resolve, reject) => {
    const asked = request({ host: hostname, port, method: 'CONNECT', path: to })
    asked.on('connect', (response, socket, head) => {
      let text = head.toString()
      socket.setEncoding('utf8').on('data', (piece) => {
        text += piece
      })
      const done = () => resolve([response.statusCode, text.split('\r\n\r\n').at(-1) ?? ''])
      if (response.statusCode !== 200) socket.on('close', done)
      else if (to.endsWith(':443')) {
        socket.destroy()
        done()
      } else socket.on('close', done).write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    })
    asked.on('error', reject).end()
  })
}

/** Without a proxy, as through a hosts file. */
function overTls(simulator: Simulator, servername: string, path: string): Promise<[status: number, text: string]> {
  return new Promise((resolve, reject) => {
    const { authority: ca, tlsPort: port } = simulator.asTikTok ?? { authority: '', tlsPort: 0 }
    let text = ''
    const socket = connect({ host: '127.0.0.1', port, servername, ca }, () => {
      socket.write(`GET ${path} HTTP/1.1\r\nhost: ${servername}\r\nconnection: close\r\n\r\n`)
    })
    socket.setEncoding('utf8').on('error', reject)
    socket.on('data', (piece) => {
      text += piece
    })
    socket.on('close', () => resolve([Number(text.slice(9, 12)), text.split('\r\n\r\n').at(-1) ?? '']))
  })
}
