// The way out through a forward proxy: a real one, that connects to a server with a certificate, refuses, or keeps silent.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { startSimulator } from 'tiktok-simulator'
import { Agent } from 'undici'
import { openReceiver } from '../../src/events/receiver.ts'
import { call } from '../../src/outbound/call.ts'
import { noAnswer, probe } from '../../src/outbound/probe.ts'
import { type ForwardProxy, wayOut } from '../../src/outbound/proxy.ts'
import { createTikTok } from '../../src/tiktok/client.ts'
import { command } from '../rig/command.ts'
import { makeAuthority } from '../rig/tls-postgres.ts'

async function listening(t: Test, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A proxy that leads every name to one port of this machine, or answers with `refusal`. */
async function proxyTo(t: Test, port: number, refusal?: number) {
  const asked: { whom: string; credentials: string | undefined }[] = []
  const server = createServer((_request, answer) => answer.writeHead(405).end())
  server.on('connect', ({ url = '', headers }: IncomingMessage, client: Socket, head: Buffer) => {
    asked.push({ whom: url, credentials: headers['proxy-authorization'] })
    if (refusal !== undefined) return client.end(`HTTP/1.1 ${refusal} No\r\ncontent-length: 0\r\n\r\n`)
    const target = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      if (head.length > 0) target.write(head)
      target.pipe(client).pipe(target)
    })
    for (const socket of [target, client]) socket.on('error', () => client.destroy())
  })
  const at = await listening(t, server)
  const through = (...except: string[]): ForwardProxy => ({ url: new URL(`http://us%40er:p%3A1@127.0.0.1:${at}`), except })
  return { asked, through, at }
}

/** Takes HTTPS as every name of example.com, and says who it was asked as. */
async function strangers(t: Test) {
  const authority = await makeAuthority(t)
  const { certFile, keyFile } = await authority.issue('example.com', ['DNS:example.com', 'DNS:*.example.com'])
  const tls = { cert: await readFile(certFile), key: await readFile(keyFile) }
  const server = createTlsServer(tls, (request, answer) => answer.end(JSON.stringify({ host: request.headers.host })))
  return { port: await listening(t, server as unknown as Server), ca: await readFile(authority.rootFile, 'utf8') }
}

t.test('https goes through it, with TLS from end to end, and what NO_PROXY names does not', async (t) => {
  const { port, ca } = await strangers(t)
  const { asked, through } = await proxyTo(t, port)
  const ask = async (host: string, ...except: string[]) => {
    const agent = new Agent({ connections: 1, connect: wayOut(through(...except), { timeout: 3000, ca }) })
    t.teardown(() => agent.destroy())
    const request = {
      url: new URL(`https://${host}/`),
      method: 'GET',
      maxBytes: 1000,
      totalMs: host.startsWith('[') ? 100 : 5000,
    } as const
    const [one, two] = [await call(agent, request), await call(agent, request)]
    t.same(two.kind, one.kind)
    return one.kind === 'answered' ? JSON.parse(String(one.body)).host : one.kind === 'not_sent' ? one.reason : one.kind
  }
  t.equal(await ask('api.example.com'), 'api.example.com')
  t.same(asked, [{ whom: 'api.example.com:443', credentials: `Basic ${Buffer.from('us@er:p:1').toString('base64')}` }])
  t.equal(await ask('api.example.com:8443', 'other.example', 'api.example.com:443', 'pi.example.com'), 'api.example.com:8443')
  t.equal(asked.at(-1)?.whom, 'api.example.com:8443')
  t.equal(await ask('api.example.org'), 'tls', 'the certificate is held against the name that was asked for')

  const { length } = asked
  for (const entry of ['*', 'nowhere.invalid', '.invalid', '*.invalid', 'INVALID', 'nowhere.invalid:443'])
    t.equal(await ask('nowhere.invalid', 'other.example', entry), 'dns', `${entry}: it is looked up here`)
  for (const entry of ['[2001:db8::1]', '2001:db8::1', '[2001:db8::1]:443'])
    t.not(await ask('[2001:db8::1]', entry), '[2001:db8::1]')
  t.equal(await ask('127.0.0.1:9'), 'refused', 'this machine is reached directly')
  t.equal(asked.length, length)
})

t.test('a proxy that refuses, is away or keeps silent: nothing was sent, and the doctor says whose fault it is', async (t) => {
  const { port } = await strangers(t)
  const silent = await listening(t, createServer().on('connect', () => undefined) as Server)
  for (const [proxy, what] of [
    [(await proxyTo(t, port, 407)).through(), 'answers 407'],
    [{ url: new URL('http://127.0.0.1:9'), except: [] }, 'cannot be reached (ECONNREFUSED)'],
    [{ url: new URL(`http://127.0.0.1:${silent}`), except: [] }, 'does not answer'],
  ] as const) {
    const outcome = await probe({ url: new URL('https://api.example.com/'), method: 'GET', proxy, timeoutMs: 1000 })
    t.match(outcome, { kind: 'not_sent', reason: 'proxy' })
    if (outcome.kind !== 'answered')
      t.match(noAnswer(outcome, 'api.example.com'), { what: new RegExp(what.replace(/[()]/g, '.')) })
  }
})

t.test('S57: strangers are reached at the address that was judged, so a proxy leads nobody into its own network', async (t) => {
  const { port } = await strangers(t)
  const { asked, through } = await proxyTo(t, port)
  const event = { headers: {}, body: '{}' }
  for (const [url, code] of [
    ['https://localhost.localdomain/hook', /address_not_allowed|dns/],
    ['https://ip6-localhost/hook', /address_not_allowed|dns/],
    ['https://10.0.0.1/hook', /address_not_allowed/],
    ['https://nowhere.invalid/hook', /dns/],
  ] as const) {
    const receiver = openReceiver(url, { connections: 1, proxy: through() })
    t.match(await receiver.post(event, new AbortController().signal), { kind: 'failed', code }, url)
    await receiver.close()
  }
  t.same(asked, [], 'the proxy was not asked for a name')
  const receiver = openReceiver('https://192.0.43.8/hook', { connections: 1, proxy: through() })
  t.match(await receiver.post(event, new AbortController().signal), { kind: 'failed', code: 'tls' }, 'a certificate of others')
  await receiver.close()
  t.match(asked, [{ whom: '192.0.43.8:443' }])

  const app = {
    authBaseUrl: 'https://www.tiktok.com',
    apiBaseUrl: 'https://open.tiktokapis.com',
    clientKey: 'k',
    clientSecret: 's',
  }
  const tiktok = createTikTok({ ...app, proxy: through() })
  t.teardown(() => tiktok.close())
  t.match(await tiktok.avatar('https://nowhere.invalid/picture'), { kind: 'unavailable', reason: 'dns' })
  t.equal(asked.length, 1)
  t.match(await tiktok.refresh('rft.1'), { kind: 'not_sent', reason: 'tls' }, 'TikTok is asked for by its name')
  t.match(asked.at(-1), { whom: 'open.tiktokapis.com:443' })
})

t.test('without one nothing of it is loaded', async (t) => {
  const script = `import { registerHooks } from 'node:module'
    registerHooks({ resolve: (name, context, next) => { const found = next(name, context); console.log(found.url); return found } })
    const { createTikTok } = await import('./src/tiktok/client.ts')
    createTikTok({ authBaseUrl: 'http://127.0.0.1:9', apiBaseUrl: 'http://127.0.0.1:9', clientKey: 'k', clientSecret: 's' }).refresh('r')`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  t.match(stdout, /outbound\/proxy\.ts/, 'the look is worth something')
  t.notMatch(stdout, /tunnel/)
})

t.test('the doctor reaches TikTok through it, and says what is wrong with it', async (t) => {
  const simulator = await startSimulator({ asTikTok: {} })
  t.teardown(() => simulator.close())
  const folder = t.testdir({ 'ca.pem': simulator.asTikTok?.authority ?? '' })
  const env = {
    TIKTOK_CLIENT_KEY: simulator.clientKey,
    TIKTOK_CLIENT_SECRET: simulator.clientSecret,
    TIKTOK_SCOPES: 'user.info.basic,video.upload',
    DATA_DIR: join(folder, 'data'),
    NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'),
  }
  const through = await command(['doctor'], { ...env, https_proxy: simulator.url })
  t.match(through.stdout, /^well +TikTok: www\.tiktok\.com and open\.tiktokapis\.com/m)
  const refusing = await proxyTo(t, 9, 403)
  const refused = await command(['doctor'], { ...env, HTTPS_PROXY: `http://u:pass-word@127.0.0.1:${refusing.at}` })
  t.equal(refused.code, 1)
  t.match(refused.stdout, /The proxy of HTTPS_PROXY answers 403 when it is asked for open\.tiktokapis\.com/)
  t.notMatch(refused.stdout + refused.stderr, /pass-word/)
})
