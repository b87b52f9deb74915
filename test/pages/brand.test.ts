// Whose page it is: what the environment says, and what a session says for itself; and that it can be read whatever the colour is.
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import * as fc from 'fast-check'
import t from 'tap'
import { brandOf, changeOf } from '../../src/pages/brand.ts'
import { accentsOf, contrastOf } from '../../src/pages/contrast.ts'
import { grounds, style } from '../../src/pages/style.ts'
import { startWorld } from '../world.ts'

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
const svg = '<?xml version="1.0"?>\n<!-- ours --><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

t.test('a brand has its name, logo, colour and links on every page; a session may have its own', async (t) => {
  const folder = t.testdir()
  await writeFile(`${folder}/acme.png`, png)
  await writeFile(`${folder}/shop.svg`, svg)
  const env = {
    APP_NAME: 'Acme <Studio>',
    APP_LOGO: `${folder}/acme.png, ${folder}/shop.svg`,
    BRAND_COLOR: '#ffd400',
    PRIVACY_URL: 'https://acme.example/privacy?a=1&b=2',
    TERMS_URL: 'https://acme.example/terms',
    SUPPORT_URL: 'mailto:help@acme.example',
  }
  const { openSession, browser, config, call, connect, logged, timePasses } = await startWorld(t, { env })
  t.match(logged(), /BRAND_COLOR could not be read everywhere as it is, so the pages use #[0-9a-f]{6} on light"/)
  const account = await connect({ owner: 'user_42' })
  const open = async (branding?: object) => {
    const visitor = browser()
    const opened = await openSession({ account_type: undefined, age_confirmed: undefined, branding })
    const address = String((await visitor.get(opened.connect_url)).headers.location)
    return { visitor, address, opened, page: await visitor.get(address) }
  }
  const isOf = ({ text, headers }: Awaited<ReturnType<typeof open>>['page'], own: ReturnType<typeof brandOf>) => {
    const bar = /<div class="brand">.*?<\/div>/s.exec(text)?.[0] ?? ''
    t.equal(bar.includes(`<bdi>${own.name?.replace(/[<>]/g, (c) => `&#${c.charCodeAt(0)};`)}</bdi>`), true)
    t.equal(/src="([^"]+)"/.exec(bar)?.[1] ?? null, own.logo)
    const links = [...text.matchAll(/<a href="([^"]+)">(Privacy|Terms|Help)<\/a>/g)].map(([, url = '']) =>
      url.replaceAll('&#38;', '&'),
    )
    t.same(links, [own.privacyUrl, own.termsUrl, own.supportUrl])
    t.match(text, 'This page is not part of TikTok.')
    const styles = [...text.matchAll(/<style>(.*?)<\/style>/gs)].map(([, css = '']) => css)
    t.same(styles, [style, own.style])
    const sources = styles.map((css) => `'sha256-${createHash('sha256').update(css).digest('base64')}'`).join(' ')
    t.match(headers['content-security-policy'], `style-src ${sources}; img-src 'self';`)
  }

  const usual = brandOf(config, null)
  t.match(usual, { name: 'Acme <Studio>', logo: /^\/connect\/logo\/[0-9a-f]{16}$/ })
  const first = await open()
  isOf(first.page, usual)
  t.match(first.page.text, '<title>TikTok accounts · Acme &#60;Studio&#62;</title>')
  isOf(await first.visitor.get(first.address.replace('/connect?', `/connect/accounts/${account.id}/disconnect?`)), usual)
  isOf(await browser().get(`${config.publicUrl}/connect`), usual)
  isOf(await browser().get(`${config.publicUrl}/callback?state=none`), usual)
  isOf(await browser().get(`${config.publicUrl}/docs/problems`), usual)

  const said = { name: 'Shop', logo: 'shop', color: '#0a3', privacy_url: 'https://shop.example/privacy' }
  const own = brandOf(config, { name: 'Shop', logo: 'shop', color: '#0a3', privacyUrl: said.privacy_url })
  t.not(own.logo, usual.logo)
  const second = await open(said)
  isOf(second.page, own)
  t.match(await call('GET', `/connect-sessions/${second.opened.id}`), { body: { branding: undefined } })
  t.equal(brandOf(config, { name: 'Other' }).logo, null, "not another product's")
  t.equal(brandOf(config, { color: '#000' }).logo, usual.logo)
  await timePasses(601)
  isOf(await second.visitor.get(second.address), own)
  isOf(await browser().get(second.opened.connect_url), own)

  const body = { owner_id: 'user_42', return_url: 'http://127.0.0.1:5999/return' }
  for (const [field, value] of [
    ['logo', 'none'],
    ['logo', '../acme'],
    ['color', 'red'],
    ['color', '#12345'],
    ['privacy_url', 'http://shop.example/'],
    ['terms_url', 'javascript:alert(1)'],
    ['support_url', 'mailto:a@b?bcc=c@d'],
    ['name', 'two\nlines'],
  ] as const)
    t.match(await call('POST', '/connect-sessions', { body: { ...body, branding: { [field]: value } } }), {
      status: 400,
      body: { errors: [{ pointer: `/branding/${field}` }] },
    })

  const logo = (address: string | null, headers = {}) => call('GET', address ?? '', { key: null, headers })
  const picture = await logo(usual.logo)
  t.match(picture, { status: 200, headers: { 'content-type': 'image/png', 'content-length': String(png.length) } })
  t.match(picture.headers, { 'cache-control': 'public, max-age=31536000, immutable', 'x-content-type-options': 'nosniff' })
  t.equal((await logo(usual.logo, { 'if-none-match': picture.headers.etag })).status, 304)
  t.equal((await call('HEAD', usual.logo ?? '', { key: null })).status, 200)
  t.match(await logo(own.logo), {
    text: svg,
    headers: {
      'content-type': /^image\/svg\+xml/,
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    },
  })
  t.equal((await logo('/connect/logo/0123456789abcdef')).status, 404)
})

t.test('without a brand nothing is shown of one', async (t) => {
  const { openSession, browser, config, logged } = await startWorld(t)
  const visitor = browser()
  const { text } = await visitor.get(String((await visitor.get((await openSession()).connect_url)).headers.location))
  t.notMatch(text, /class="brand"|<title>[^<]*·|>(Privacy|Terms|Help)</)
  t.equal(text.match(/<style>/g)?.length, 1)
  t.notMatch(logged(), 'BRAND_COLOR')
  t.match(brandOf(config, null), { name: null, logo: null, style: '' })
})

t.test('whatever colour a brand has, text can be read in it and on it, by day and by night', async (t) => {
  const of = (theme: 'light' | 'dark', name: string) => {
    const [day = '', night = ''] = style.split('@media (prefers-color-scheme: dark)')
    return new RegExp(`--${name}: (#[0-9a-f]{3,6})`).exec(theme === 'light' ? day : night)?.[1] ?? ''
  }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffff }), (value) => {
      const color = `#${value.toString(16).padStart(6, '0')}`
      for (const [theme, { accent, hover, onAccent, tint }] of Object.entries(accentsOf(color)) as ['light' | 'dark', never][]) {
        const { ground, card } = grounds[theme]
        const pairs = [
          ...[accent, hover].flatMap((text) => [ground, card].map((behind) => [text, behind] as const)),
          ...[accent, hover].map((button) => [onAccent, button] as const),
          ...['ink', 'quiet', 'good'].map((text) => [of(theme, text), tint] as const),
        ]
        for (const [text, behind] of pairs) if (contrastOf(text, behind) < 4.5) return false
        if (contrastOf(color, ground) >= 4.5 && contrastOf(color, card) >= 4.5 && accent !== color) return false
      }
      return true
    }),
    { examples: [[0], [0xffffff], [0xffd400], [0x808080], [0x23584a], [0x0000ff], [0xff0000]] },
  )
  t.match(changeOf('#06C'), /so the pages use #[0-9a-f]{6} on dark$/)
  t.match(changeOf('#777'), / on light and #[0-9a-f]{6} on dark$/)
  t.equal(contrastOf('#000', '#fff'), 21)
  t.equal(contrastOf('#777777', '#ffffff').toFixed(2), '4.48', 'as WCAG counts')
  t.match(accentsOf('#23584a'), { light: { accent: '#23584a' } }, 'what can be read stays as it is')
})
