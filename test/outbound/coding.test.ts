// Answers of strangers are read in whatever coding and charset they come, within the limits.
import type { ServerResponse } from 'node:http'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { openTierService } from '../../src/connect/tier-service.ts'
import type { TikTok } from '../../src/tiktok/client.ts'
import { grant, tiktokAnswering } from '../tiktok/loopback.ts'

const codings: [string, (body: Buffer) => Buffer][] = [
  ['gzip', gzipSync],
  ['GZIP', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['br', brotliCompressSync],
  ['zstd', zstdCompressSync],
  ['gzip, br', (body) => brotliCompressSync(gzipSync(body))],
  ['identity,gzip', gzipSync],
  ['aws-chunked, br', brotliCompressSync],
  ['br;q=1.0', brotliCompressSync],
  ['identity;q=1, zstd ; q=0.5', zstdCompressSync],
  ['identity', (body) => body],
  ['', (body) => body],
  ['', gzipSync],
  ['gzip', (body) => body],
  ['deflate', (body) => body],
  ['br', (body) => body],
  ['zstd', (body) => body],
  ['utf-8', (body) => body],
]

const jpeg = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(200, 7)])
const user = { open_id: grant.open_id, display_name: 'Fake Chef' }
const error = { code: 'ok', message: '', log_id: 'L1' }

/** A TikTok whose every answer is coded, and the same server as a tier service. */
const coded = (t: Test, coding: string, code: (body: Buffer) => Buffer, headers: Record<string, string | string[]> = {}) =>
  tiktokAnswering(t, (response: ServerResponse, { path }) => {
    const said = path.startsWith('/v2/user/info')
      ? { data: { user }, error }
      : path.startsWith('/tiers')
        ? { tier: 'free' }
        : grant
    const plain = path === '/v2/oauth/revoke/' ? '{}' : JSON.stringify(said)
    const body = code(path === '/a.jpeg' ? jpeg : Buffer.from(plain))
    response.writeHead(200, { ...(coding !== '' && { 'content-encoding': coding }), ...headers }).end(body)
  })

async function everyDoor(t: Test, tiktok: TikTok, url: string): Promise<void> {
  t.match(await tiktok.refresh('rft.old'), { kind: 'granted', tokenSet: { refreshToken: grant.refresh_token } })
  t.match(await tiktok.exchangeCode({ code: 'code', redirectUri: 'https://us.test/callback' }), { kind: 'granted' })
  t.same(await tiktok.revoke('act.old'), { kind: 'revoked' })
  t.match(await tiktok.userInfo('act.old', ['user.info.basic']), { kind: 'ok', user: { displayName: 'Fake Chef' } })
  t.same(await tiktok.avatar(`${url}/a.jpeg`), { kind: 'ok', bytes: jpeg, contentType: 'image/jpeg' })
  const tiers = openTierService({ url: `${url}/tiers` })
  t.teardown(() => tiers.close())
  t.match(await tiers.tierOf('user_42'), { kind: 'told', tier: 'free' })
}

t.test('no coding is asked for, and every coding is read, at every door', async (t) => {
  for (const [coding, code] of codings)
    await t.test(`${coding === '' ? 'no header' : coding}, ${code.name || 'in layers or plain'}`, async (t) => {
      const { tiktok, received, url } = await coded(t, coding, code)
      await everyDoor(t, tiktok, url)
      t.equal(received.length, 6)
      for (const { headers } of received) t.equal(headers['accept-encoding'], 'identity')
    })
  await t.test('two headers are one list', async (t) => {
    const { tiktok, url } = await coded(t, '', (body) => brotliCompressSync(gzipSync(body)), {
      'content-encoding': ['gzip', 'br'],
    })
    await everyDoor(t, tiktok, url)
  })
})

t.test('a refusal is read through a coding as well: it costs no ambiguous refresh', async (t) => {
  const { tiktok } = await tiktokAnswering(t, (response) => {
    response.writeHead(400, { 'content-encoding': 'br' }).end(brotliCompressSync('{"error":"invalid_grant"}'))
  })
  t.match(await tiktok.refresh('rft.old'), { kind: 'refused', error: 'invalid_grant' })
})

t.test('the limit is kept after decoding: a bomb ends there, in every layer', async (t) => {
  const bomb = Buffer.alloc(64 * 1024 * 1024, ' ')
  for (const [coding, body] of [
    ['gzip', gzipSync(bomb)],
    ['deflate', deflateRawSync(bomb)],
    ['br', brotliCompressSync(bomb)],
    ['zstd', zstdCompressSync(bomb)],
    ['gzip, gzip', gzipSync(gzipSync(bomb))],
  ] as const) {
    const { tiktok, url } = await tiktokAnswering(t, (response) =>
      response.writeHead(200, { 'content-encoding': coding }).end(body),
    )
    t.match(await tiktok.refresh('rft.old'), { kind: 'ambiguous', reason: 'too_large', status: 200 }, coding)
    t.match(await tiktok.avatar(`${url}/a.jpeg`), { kind: 'refused', reason: 'too_large' }, coding)
  }
})

t.test('an answer of exactly the limit once decoded is read, one byte more is not', async (t) => {
  for (const [size, kind] of [
    [64 * 1024, 'granted'],
    [64 * 1024 + 1, 'ambiguous'],
  ] as const) {
    const { tiktok } = await coded(t, 'gzip', () => gzipSync(JSON.stringify(grant).padEnd(size)))
    t.match(await tiktok.refresh('rft.old'), { kind })
  }
})

t.test('a coded answer that ends too early is cut, and one with more layers than anybody means is not read', async (t) => {
  for (const [coding, code] of codings.slice(0, 4)) {
    const { tiktok } = await coded(t, coding, (body) => code(body).subarray(0, -6))
    t.match(await tiktok.refresh('rft.old'), { kind: 'ambiguous', reason: 'cut_body', status: 200 }, coding)
  }
  const layers = Array.from({ length: 100 }, () => 'gzip')
  const { tiktok } = await coded(t, layers.join(), (body) => layers.reduce((inner) => gzipSync(inner), body))
  t.match(await tiktok.refresh('rft.old'), { kind: 'ambiguous', reason: 'foreign_body' })
})

t.test('an empty body with a coding is empty: TikTok has revoked', async (t) => {
  const { tiktok } = await coded(t, 'gzip', () => Buffer.alloc(0))
  t.same(await tiktok.revoke('act.old'), { kind: 'revoked' })
})

t.test('JSON is read whatever its type says, with a byte order mark, in another charset, with space around it', async (t) => {
  const utf16 = (body: Buffer) => Buffer.from(body.toString(), 'utf16le')
  for (const [type, code] of [
    ['text/plain', (body) => body],
    ['text/html; charset="utf-8"', (body) => Buffer.from(`\r\n\t ${body}\n\n  \r\n`)],
    ['application/json;charset=UTF8', (body) => Buffer.from(`\ufeff${body}`)],
    ['application/json; charset=utf-16le', utf16],
    ['application/json', (body) => Buffer.concat([Buffer.from([0xff, 0xfe]), utf16(body)])],
    ['application/json', (body) => Buffer.concat([Buffer.from([0xfe, 0xff]), utf16(body).swap16()])],
    ['application/json; charset=iso-8859-1', (body) => body],
    ['application/json; charset=of-the-moon', (body) => body],
    ['', (body) => body],
  ] as [string, (body: Buffer) => Buffer][]) {
    const { tiktok } = await coded(t, '', code, type === '' ? {} : { 'content-type': type })
    t.match(await tiktok.refresh('rft.old'), { kind: 'granted', tokenSet: { refreshToken: grant.refresh_token } }, type)
    t.match(await tiktok.userInfo('act.old', ['user.info.basic']), { kind: 'ok', user: { displayName: 'Fake Chef' } }, type)
  }
  const { tiktok } = await tiktokAnswering(t, (response) => {
    const body = JSON.stringify({ data: { user: { ...user, display_name: 'José' } }, error })
    response.writeHead(200, { 'content-type': 'application/json; charset=iso-8859-1' }).end(Buffer.from(body, 'latin1'))
  })
  t.match(await tiktok.userInfo('act.old', ['user.info.basic']), { user: { displayName: 'José' } })
})
