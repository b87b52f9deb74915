// Pictures come from TikTok only, as pictures, and not without end.
import nock from 'nock'
import t from 'tap'
import { tiktokAnswering } from './loopback.ts'
import { scriptedTikTok } from './scripted.ts'

const jpeg = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3])
const png = Buffer.from('89504e470d0a1a0a0000', 'hex')
const webp = Buffer.concat([Buffer.from('RIFF'), Buffer.from([1, 0, 0, 0]), Buffer.from('WEBPVP8 ')])

const link = 'https://p16-fake.tiktokcdn.test/a.jpeg?x-expires=1795400000&x-signature=FAKE'
const cdn = () => nock('https://p16-fake.tiktokcdn.test').get('/a.jpeg').query(true)

t.test('a picture comes with the type its bytes have, whatever the header says', async (t) => {
  const { tiktok } = scriptedTikTok(t)
  for (const [bytes, contentType] of [
    [jpeg, 'image/jpeg'],
    [png, 'image/png'],
    [webp, 'image/webp'],
  ] as const) {
    cdn().reply(200, bytes, { 'content-type': 'text/html' })
    t.same(await tiktok.avatar(link), { kind: 'ok', bytes, contentType })
  }
})

t.test('what is not a picture is not handed on', async (t) => {
  const { tiktok } = scriptedTikTok(t)
  for (const bytes of ['<html><script>', '', '<svg xmlns="http://www.w3.org/2000/svg"/>', 'GIF89a', 'RIFF1234WAVE']) {
    cdn().reply(200, bytes, { 'content-type': 'image/jpeg' })
    t.same(await tiktok.avatar(link), { kind: 'refused', reason: 'not_a_picture' })
  }
})

t.test('a link whose time is over says so', async (t) => {
  const { tiktok } = scriptedTikTok(t)
  for (const status of [403, 404, 410]) {
    cdn().reply(status)
    t.same(await tiktok.avatar(link), { kind: 'link_expired' })
  }
})

t.test('other answers are unavailability, redirects among them', async (t) => {
  const { tiktok } = scriptedTikTok(t)
  for (const status of [204, 301, 307, 429, 500]) {
    cdn().reply(status, '', { location: 'http://169.254.169.254/' })
    t.same(await tiktok.avatar(link), { kind: 'unavailable', reason: 'bad_status' })
  }
})

t.test('addresses that TikTok would not give are not asked', async (t) => {
  const { tiktok } = scriptedTikTok(t)
  for (const url of [
    'http://p16-fake.tiktokcdn.test/a.jpeg',
    'https://p16-fake.tiktokcdn.test:8443/a.jpeg',
    'https://user:password@p16-fake.tiktokcdn.test/a.jpeg',
    'https://127.0.0.1/a.jpeg',
    'https://[::1]/a.jpeg',
    'https://169.254.169.254/latest/meta-data',
    'https://2130706433/a.jpeg',
    'file:///etc/passwd',
    'data:image/png;base64,AAAA',
    'not a url',
    '',
  ])
    t.same(await tiktok.avatar(url), { kind: 'refused', reason: 'address_not_allowed' }, url)
})

t.test('a simulator on loopback may serve its pictures there, without our credentials', async (t) => {
  const { tiktok, received, url } = await tiktokAnswering(t, (response) => response.end(jpeg))
  t.match(await tiktok.avatar(`${url}/avatars/1.jpeg`), { kind: 'ok', contentType: 'image/jpeg' })
  t.match(received, [{ method: 'GET', path: '/avatars/1.jpeg', body: '' }])
  t.notOk('authorization' in (received[0]?.headers ?? {}))
})

t.test('a picture of more than a mebibyte is refused, one of exactly that is not', async (t) => {
  const { tiktok, url } = await tiktokAnswering(t, (response, { path }) => {
    response.end(Buffer.concat([jpeg, Buffer.alloc(1024 * 1024 - jpeg.length + (path === '/more' ? 1 : 0))]))
  })
  t.same(await tiktok.avatar(`${url}/more`), { kind: 'refused', reason: 'too_large' })
  t.match(await tiktok.avatar(`${url}/just`), { kind: 'ok' })
})

t.test('a dripping picture ends at the deadline', async (t) => {
  const { tiktok, url } = await tiktokAnswering(
    t,
    (response) => {
      const drip = setInterval(() => response.write(jpeg), 5)
      response.on('close', () => clearInterval(drip))
    },
    { totalMs: 60 },
  )
  t.same(await tiktok.avatar(`${url}/a`), { kind: 'unavailable', reason: 'timeout' })
})
