// Pictures of the cast, behind links that die.
import { createHash } from 'node:crypto'
import { inflateSync } from 'node:zlib'
import t from 'tap'
import { connect, simulatorFor, userInfo } from './app.ts'

async function pictureUrl(simulator: Awaited<ReturnType<typeof simulatorFor>>, person: string, field = 'avatar_url') {
  const { access_token } = await connect(simulator, person)
  const { body } = await userInfo(simulator, access_token, field)
  return new URL(String((body.data as { user: Record<string, unknown> }).user[field]))
}

t.test('a picture is a real PNG, different for each person', async (t) => {
  const simulator = await simulatorFor(t)
  const seen = new Set<string>()
  for (const person of ['mara', 'jonas', 'brightlane', 'noura']) {
    const response = await fetch(await pictureUrl(simulator, person))
    t.equal(response.headers.get('content-type'), 'image/png')
    const image = Buffer.from(await response.arrayBuffer())
    t.equal(image.subarray(0, 8).toString('latin1'), '\x89PNG\r\n\x1a\n')
    t.equal(image.readUInt32BE(16), 200, 'its width')
    const pixels = inflateSync(image.subarray(41, 41 + image.readUInt32BE(33)))
    t.equal(pixels.length, 200 * (1 + 200 * 3), 'its pixels')
    seen.add(createHash('sha256').update(image).digest('hex'))
  }
  t.equal(seen.size, 4)
  t.ok((await fetch(await pictureUrl(simulator, 'mara', 'avatar_large_url'))).ok)
})

t.test('behind a proxy with TLS its link leads through the proxy', async (t) => {
  const simulator = await simulatorFor(t)
  const { access_token } = await connect(simulator, 'mara')
  const answer = await fetch(`${simulator.url}/v2/user/info/?fields=avatar_url`, {
    headers: { authorization: `Bearer ${access_token}`, 'x-forwarded-proto': 'https' },
  })
  const { data } = (await answer.json()) as { data: { user: { avatar_url: string } } }
  t.match(data.user.avatar_url, simulator.url.replace('http:', 'https:'))
})

t.test('its link says when it dies, and dies then', async (t) => {
  const simulator = await simulatorFor(t, { settings: { avatar_seconds: 60 } })
  const url = await pictureUrl(simulator, 'mara')
  const expires = Number(url.searchParams.get('x-expires'))
  t.ok(Math.abs(expires - Date.now() / 1000 - 60) < 50)
  simulator.clock.advance(61)
  t.equal((await fetch(url)).status, 403)
})

t.test('a link cannot be altered', async (t) => {
  const simulator = await simulatorFor(t)
  const url = await pictureUrl(simulator, 'mara')
  const longer = new URL(url)
  longer.searchParams.set('x-expires', '9999999999')
  t.equal((await fetch(longer)).status, 403)
  t.equal((await fetch(url.href.replace('/mara/', '/jonas/'))).status, 403)
  t.equal((await fetch(url)).status, 200)
})
