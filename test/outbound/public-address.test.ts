// Links from outside lead to the public internet and never home.
import t from 'tap'
import { AddressNotAllowed, isPrivateLiteral, isPublicAddress, lookupPublic } from '../../src/outbound/public-address.ts'
import { createTikTok } from '../../src/tiktok/client.ts'

t.test('addresses of the public internet are public', async (t) => {
  for (const address of ['1.1.1.1', '8.8.8.8', '100.63.255.255', '172.32.0.1', '2606:4700::1111', '2a00:1450:4001::1'])
    t.ok(isPublicAddress(address), address)
})

t.test('everything else is not, in whatever spelling', async (t) => {
  const v4 = ['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '169.254.169.254', '172.16.0.1', '172.31.255.255', '192.168.1.1']
  const reserved = [
    '192.0.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
  ]
  const v6 = ['::', '::1', 'fe80::1', 'fec0::1', 'fc00::1', 'fd12::1', 'ff02::1', '2001:db8::1', '100::1', '3fff::1']
  const tunnels = ['::ffff:127.0.0.1', '::ffff:8.8.8.8', '::127.0.0.1', '64:ff9b::7f00:1', '2002:7f00:1::', '2001::1']
  for (const address of [...v4, ...reserved, ...v6, ...tunnels, '', 'localhost', '1.2.3'])
    t.notOk(isPublicAddress(address), address)
})

t.test('a literal in a URL is seen through every disguise a URL allows', async (t) => {
  for (const host of ['127.0.0.1', '127.1', '2130706433', '0x7f.0.0.1', '017700000001', '[::1]', '[::ffff:7f00:1]', '10.0.0.1'])
    t.ok(isPrivateLiteral(new URL(`https://${host}/a`)), host)
  for (const host of ['8.8.8.8', 'p16.tiktokcdn.com', 'localhost']) t.notOk(isPrivateLiteral(new URL(`https://${host}/a`)), host)
})

t.test('a name that leads home is refused after resolution', async (t) => {
  for (const all of [true, false]) {
    const error = await new Promise((resolve) => lookupPublic('localhost', { all }, resolve))
    t.ok(error instanceof AddressNotAllowed)
  }
})

t.test('a public address is handed to the connector in the shape it asked for', async (t) => {
  const looked = (all: boolean) => new Promise((resolve) => lookupPublic('8.8.8.8', { all }, (...answer) => resolve(answer)))
  t.same(await looked(true), [null, [{ address: '8.8.8.8', family: 4 }]])
  t.same(await looked(false), [null, '8.8.8.8', 4])
})

t.test('a picture link that leads home is not followed there', async (t) => {
  const options = {
    authBaseUrl: 'https://www.tiktok.com',
    apiBaseUrl: 'https://open.tiktokapis.com',
    clientKey: 'k',
    clientSecret: 's',
  }
  const tiktok = createTikTok(options)
  t.teardown(() => tiktok.close())
  t.same(await tiktok.avatar('https://localhost/a.jpeg'), { kind: 'refused', reason: 'address_not_allowed' })
})
