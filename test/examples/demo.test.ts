// `npm run demo` as somebody meets it who has just installed: real processes, the click path, the ways it can end, and the next start.
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { verifyEvent } from 'oauth-accounts-for-tiktok'
import t from 'tap'
import { ownFolder } from '../folder.ts'
import { type Demo, startDemo } from '../rig/demo.ts'
import { eventually } from '../rig/eventually.ts'

/** A person in a browser: follows redirects and remembers cookies, which are for all ports of a host. */
function person() {
  const cookies = new Map<string, string>()
  return async function visit(url: string, form?: Record<string, string>): Promise<{ url: string; text: string }> {
    const answer = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form ? { method: 'POST', body: new URLSearchParams(form) } : {}),
    })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (/max-age=0|1970/i.test(line)) cookies.delete(name)
      else cookies.set(name, value)
    }
    const location = answer.headers.get('location')
    return location === null ? { url, text: await answer.text() } : visit(new URL(location, url).href)
  }
}

/** The first time connects and fetches a token, the second asks TikTok about the account that is there. */
async function clickThrough({ webApp }: Demo): Promise<string> {
  const visit = person()
  const formOn = async (path: string, form: Record<string, string>) => {
    const [, csrf = ''] = /name="csrf" value="([\w-]+)"/.exec((await visit(webApp)).text) ?? []
    return visit(`${webApp}${path}`, { csrf, ...form })
  }
  const welcome = await formOn('/login', { user: 'user_ada' })
  const known = /id="(acc_\w+)"/.exec(welcome.text)?.[1]
  if (known !== undefined) return (await formOn(`/accounts/${known}/verify`, {})).text

  const consent = await formOn('/connect', { account_type: 'creator', age_confirmed: 'yes' })
  const page = await visit(consent.url, { person: 'mara', decision: 'allow' })
  const [, account = ''] = /id="(acc_\w+)"/.exec(page.text) ?? []
  return (await formOn(`/accounts/${account}/token`, {})).text
}

/** Takes what is pushed to it. */
async function startReceiver(t: { teardown(work: () => unknown): unknown }) {
  const taken = Promise.withResolvers<{ body: Buffer; headers: IncomingHttpHeaders }>()
  const server = createServer(async (request, response) => {
    taken.resolve({ body: Buffer.concat(await request.toArray()), headers: request.headers })
    response.writeHead(204).end()
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, first: taken.promise }
}

/** Nothing of it is left: nobody listens any more, and the database's server has ended, which takes its pid file along. */
async function isGone({ webApp, service, simulator }: Demo, dataDir: string): Promise<boolean> {
  const listening = await Promise.all([webApp, service, simulator].map(someoneListens))
  const serverRuns = await access(join(dataDir, 'postgres', 'cluster', 'data', 'postmaster.pid')).then(
    () => true,
    () => false,
  )
  return !listening.includes(true) && !serverRuns
}

function someoneListens(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

t.test(
  'one command, one click path; Ctrl-C ends all, the next start has the data, and a killed demo leaves nothing behind',
  async (t) => {
    const dataDir = await ownFolder(t, 'demo')

    // What the machine has configured for a service is not the demo's.
    const pushed = await startReceiver(t)
    const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
    const first = await startDemo(t, dataDir, {
      DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none',
      TIKTOK_PKCE: 'nonsense',
      EVENT_WEBHOOKS: `${pushed.url}|${secret}`,
    })
    t.match(first.said(), /not for the demo: .*DATABASE_URL.*TIKTOK_PKCE.*Only EVENT_WEBHOOKS is honoured/)
    t.match(await clickThrough(first), /Mara Cooks.*<code>act\./s)
    const { body, headers } = await pushed.first
    t.match(await verifyEvent(body, headers, secret), { type: 'account.connected', data: { ownerId: 'user_ada' } })
    t.equal((await fetch(`${first.service}/docs`)).status, 200)
    first.process.kill('SIGINT')
    first.process.kill('SIGINT') // a terminal and npm both say it
    t.strictSame(await once(first.process, 'exit'), [0, null])
    t.ok(await isGone(first, dataDir), 'nothing is left')

    const second = await startDemo(t, dataDir)
    t.match(await clickThrough(second), /This is what TikTok says now.*Mara Cooks/s, 'the account is still connected')
    const page = await fetch(`${second.simulator}/`)
    t.match(await page.text(), 'of Mara Cooks</span></button>', 'and TikTok remembers it too')

    const busy = startDemo(t, dataDir)
    await t.rejects(busy, /running already at http/, 'two on the same data are one too many')

    second.process.kill('SIGKILL')
    await eventually('a killed demo leaves nothing behind', () => isGone(second, dataDir))
  },
)
