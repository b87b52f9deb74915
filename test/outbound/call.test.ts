// One call to a stranger: its deadlines, its limits, and whether it can have been sent.
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import t, { type Test } from 'tap'
import { Agent } from 'undici'
import { call } from '../../src/outbound/call.ts'
import { createTikTok } from '../../src/tiktok/client.ts'
import { clientOf, grant, json, tiktokAnswering } from '../tiktok/loopback.ts'

async function listening(t: Test, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP server')
  return address.port
}

t.test('F06: a refused connection is not sent', async (t) => {
  const server = createServer()
  const port = await listening(t, server)
  await new Promise((resolve) => server.close(resolve))
  t.match(await clientOf(t, `http://127.0.0.1:${port}`).refresh('rft.old'), { kind: 'not_sent', reason: 'refused' })
})

t.test('F06: a name that does not resolve is not sent', async (t) => {
  for (const code of ['ENOTFOUND', 'EAI_AGAIN']) {
    const dispatcher = new Agent({
      connect: { lookup: (_name, _options, callback) => callback(Object.assign(new Error(code), { code }), '', 4) },
    })
    const options = {
      authBaseUrl: 'https://tiktok.invalid',
      apiBaseUrl: 'https://tiktok.invalid',
      clientKey: 'k',
      clientSecret: 's',
    }
    const tiktok = createTikTok({ ...options, dispatcher })
    t.match(await tiktok.refresh('rft.old'), { kind: 'not_sent', reason: 'dns' })
    await dispatcher.close()
  }
})

t.test('F06: a TLS handshake that fails is not sent', async (t) => {
  const withoutCertificate = await listening(t, createTlsServer({}))
  t.match(await clientOf(t, `https://127.0.0.1:${withoutCertificate}`).refresh('rft.old'), { kind: 'not_sent', reason: 'tls' })

  const notTls = await listening(
    t,
    createServer((socket) => socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))),
  )
  t.match(await clientOf(t, `https://127.0.0.1:${notTls}`).refresh('rft.old'), { kind: 'not_sent', reason: 'tls' })
})

t.test('F06: a reset during the TLS handshake is not sent, though its code is that of an ambiguous one', async (t) => {
  const port = await listening(
    t,
    createServer((socket) => socket.on('data', () => socket.resetAndDestroy())),
  )
  t.match(await clientOf(t, `https://127.0.0.1:${port}`).refresh('rft.old'), { kind: 'not_sent', reason: 'unreachable' })
})

t.test('F06: a connection that is not ready in time is not sent', async (t) => {
  const port = await listening(t, createServer())
  const tiktok = clientOf(t, `https://127.0.0.1:${port}`, { connectMs: 50 })
  t.match(await tiktok.refresh('rft.old'), { kind: 'not_sent', reason: 'connect_timeout' })
})

t.test('a call that waits for a free connection until its deadline is not sent, not even later', async (t) => {
  const { received, url } = await tiktokAnswering(t, (response, { path }) => {
    if (path !== '/busy') response.end('{}')
  })
  const agent = new Agent({ connections: 1 })
  t.teardown(() => agent.destroy())
  const request = { method: 'POST', form: { a: 'b' }, maxBytes: 1000 } as const
  const busy = call(agent, { ...request, url: new URL('/busy', url), totalMs: 150 })
  const waiting = await call(agent, { ...request, url: new URL('/waiting', url), totalMs: 30 })
  t.match(waiting, { kind: 'not_sent', reason: 'no_free_connection' })
  t.match(await busy, { kind: 'broken', reason: 'timeout' })
  t.match(await call(agent, { ...request, url: new URL('/after', url), totalMs: 1000 }), { kind: 'answered' })
  t.same(
    received.map(({ path }) => path),
    ['/busy', '/after'],
  )
})

t.test('after close nothing is sent', async (t) => {
  const { tiktok, received } = await tiktokAnswering(t, (response) => json(response, grant))
  await tiktok.close()
  t.match(await tiktok.refresh('rft.old'), { kind: 'not_sent', reason: 'closed' })
  t.equal(received.length, 0)
})

t.test('close waits for the answer of a call in flight', async (t) => {
  const { tiktok } = await tiktokAnswering(t, (response) => setImmediate(() => json(response, grant)))
  const answer = tiktok.refresh('rft.old')
  await tiktok.close()
  t.match(await answer, { kind: 'granted' })
})

t.test('F07, F08: no answer before the deadline is ambiguous, and the deadline is kept', async (t) => {
  const { tiktok, received } = await tiktokAnswering(t, () => undefined, { totalMs: 60 })
  t.match(await tiktok.refresh('rft.old'), { kind: 'ambiguous', reason: 'timeout' })
  t.equal(received.length, 1, 'TikTok has it, and we do not know what became of it')
})

t.test('F14: a dripping answer ends at the deadline of the whole call', async (t) => {
  const { tiktok } = await tiktokAnswering(
    t,
    (response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const drip = setInterval(() => response.write(' '), 5)
      response.on('close', () => clearInterval(drip))
    },
    { totalMs: 80 },
  )
  t.match(await tiktok.refresh('rft.old'), { kind: 'ambiguous', reason: 'timeout', status: 200 })
})

t.test('F15: an endless answer ends at 64 KiB', async (t) => {
  let sentBytes = 0
  const { tiktok } = await tiktokAnswering(t, (response) => {
    const chunk = Buffer.alloc(16 * 1024, '{')
    const pour = () => {
      while (!response.destroyed && sentBytes < 100 * 1024 * 1024) {
        sentBytes += chunk.length
        if (!response.write(chunk)) return response.once('drain', pour)
      }
    }
    pour()
  })
  t.match(await tiktok.refresh('rft.old'), { kind: 'ambiguous', reason: 'too_large', status: 200 })
  t.ok(sentBytes < 50 * 1024 * 1024, 'the rest of the 100 MB stayed there')
})

t.test('F15: headers without end are too large, too', async (t) => {
  const { tiktok } = await tiktokAnswering(t, (response) => json(response, grant, 200, { 'x-padding': 'a'.repeat(100_000) }))
  t.match(await tiktok.refresh('rft.old'), { kind: 'ambiguous', reason: 'too_large' })
})

t.test('F16: a reset before or amid the answer is ambiguous', async (t) => {
  const silent = await tiktokAnswering(t, (response) => response.socket?.resetAndDestroy())
  t.match(await silent.tiktok.refresh('rft.old'), { kind: 'ambiguous', reason: 'reset' })

  const amid = await tiktokAnswering(t, (response) => {
    response
      .writeHead(200, { 'content-length': '500' })
      .write('{"access_token":"act.fa', () => response.socket?.resetAndDestroy())
  })
  t.match(await amid.tiktok.refresh('rft.old'), { kind: 'ambiguous', reason: 'cut_body', status: 200 })

  const ended = await tiktokAnswering(t, (response) => {
    response.writeHead(200).write('{"access_token":"act.fa', () => response.socket?.end())
  })
  t.match(await ended.tiktok.refresh('rft.old'), { kind: 'ambiguous', reason: 'cut_body', status: 200 })
})

t.test('a kept connection that dies as we write is ambiguous, and is not tried again', async (t) => {
  const { tiktok, received } = await tiktokAnswering(t, (response, { body }) => {
    if (body.includes('second')) response.socket?.resetAndDestroy()
    else json(response, grant)
  })
  t.match(await tiktok.refresh('rft.first'), { kind: 'granted' })
  t.match(await tiktok.refresh('rft.second'), { kind: 'ambiguous', reason: 'reset' })
  t.equal(received.length, 2)
})

t.test('what is not HTTP at all is a foreign answer', async (t) => {
  const port = await listening(
    t,
    createServer((socket) => socket.on('data', () => socket.end('SSH-2.0-OpenSSH_9.9\r\n'))),
  )
  t.match(await clientOf(t, `http://127.0.0.1:${port}`).refresh('rft.old'), { kind: 'ambiguous', reason: 'foreign_body' })
})

t.test('S42: no redirect is followed, and the refresh token is posted nowhere else', async (t) => {
  const elsewhere = await tiktokAnswering(t, (response) => json(response, grant))
  for (const status of [301, 302, 303, 307, 308]) {
    const { tiktok, received } = await tiktokAnswering(t, (response) => {
      response.writeHead(status, { location: `${elsewhere.url}/v2/oauth/token/` }).end()
    })
    t.match(await tiktok.refresh('rft.old'), { kind: 'ambiguous', reason: 'redirect', status })
    t.match(await tiktok.exchangeCode({ code: 'code', redirectUri: 'https://us.test/callback' }), { reason: 'redirect' })
    t.match(await tiktok.revoke('act.old'), { kind: 'unavailable', reason: 'redirect' })
    t.match(await tiktok.userInfo('act.old', ['user.info.basic']), { kind: 'unavailable', reason: 'redirect' })
    t.match(await tiktok.avatar(`${elsewhere.url}/a.jpeg`), { kind: 'refused' }, 'not a picture, but fetched from where we asked')
    t.equal(received.length, 4)
  }
  t.notOk(elsewhere.received.some(({ method }) => method === 'POST'))
})

t.test('a hundred calls at once are all answered, each with its own', async (t) => {
  const { tiktok } = await tiktokAnswering(t, (response, { body }) =>
    json(response, { ...grant, refresh_token: new URLSearchParams(body).get('refresh_token')?.replace('old', 'new') }),
  )
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => tiktok.refresh(`rft.old${i}`)))
  answers.forEach((answer, i) => {
    t.match(answer, { kind: 'granted', tokenSet: { refreshToken: `rft.new${i}` } })
  })
})
