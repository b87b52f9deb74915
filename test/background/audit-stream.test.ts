// The audit outside of the operators' reach: every row arrives, in order, and what was not taken comes again.
import { readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { createAuditStream } from '../../src/background/audit-stream.ts'
import { ageAudit } from '../audit-rows.ts'
import { startWorld } from '../world.ts'

interface Line {
  id: string
  action: string
  object: string
}
const linesIn = (text: string) =>
  text
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line)

async function scene(t: Parameters<typeof startWorld>[0]) {
  const world = await startWorld(t)
  const account = await world.connect()
  for (let reads = 0; reads < 5; reads++) await world.call('GET', `/accounts/${account.id}/token`)
  await ageAudit(world.parts, '1 minute')
  return { world, account }
}

t.test('to a file: JSON lines, each once in normal running, by one replica at a time', async (t) => {
  const { world, account } = await scene(t)
  const file = `${t.testdir()}/audit.jsonl`
  const round = createAuditStream(world.parts, pathToFileURL(file))
  const neighbour = createAuditStream({ ...world.parts, replicaId: 'rep_neighbour' }, pathToFileURL(file))
  await round()
  await neighbour()
  await round()
  const lines = linesIn(await readFile(file, 'utf8'))
  t.equal(lines.filter(({ action, object }) => action === 'token_handed_out' && object === account.id).length, 5)
  t.ok(lines.some(({ action }) => action === 'api_key_created'))
  t.equal(new Set(lines.map(({ id }) => id)).size, lines.length)
  t.equal((await stat(file)).mode & 0o077, 0, 'for nobody else')

  await world.call('GET', `/accounts/${account.id}/token`)
  await ageAudit(world.parts, '50 seconds')
  await world.timePasses(30) // the first replica has been silent for too long
  await neighbour()
  t.equal(linesIn(await readFile(file, 'utf8')).filter(({ action }) => action === 'token_handed_out').length > 5, true)
  t.match((await world.call('GET', '/metrics')).text, /audit_stream_lag_seconds 0\n/)
})

t.test('to a collector: what it does not take comes again, and the credentials are a header', async (t) => {
  const { world } = await scene(t)
  const taken: { body: string; authorization: string | undefined; type: string | undefined; url: string | undefined }[] = []
  let status = 503
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const { authorization, 'content-type': type } = request.headers
      taken.push({ body, authorization, type, url: request.url })
      response.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const url = new URL(`http://audit:s%40crets@127.0.0.1:${(server.address() as AddressInfo).port}/in?from=tts`)
  const round = createAuditStream(world.parts, url)
  await t.rejects(round(), /answered 503/)
  await t.rejects(round(), /answered 503/)
  status = 204
  await round()
  const bodies = taken.map(({ body }) => body)
  t.ok(linesIn(bodies[0] ?? '').length > 5)
  t.same(bodies[1], bodies[0])
  t.same(bodies[2], bodies[0])
  t.match(taken[0], {
    authorization: `Basic ${Buffer.from('audit:s@crets').toString('base64')}`,
    type: 'application/x-ndjson',
    url: '/in?from=tts',
  })
  await round()
  t.equal(taken.length, 3, 'nothing new, nothing sent')
})
