// What each client of others is asked to do, and a person with a browser for it. TikTok's addresses are the clients' own: they are led here.
export const clientKey = process.env.CLIENT_KEY
export const clientSecret = process.env.CLIENT_SECRET
export const redirectUri = 'https://app.example.com/callback'

/**
 * @param client `connect` gives what the other steps get. A step that the library does not have is left out. `wrongCode` and `deadToken`
 *   are to throw, which is how a library tells its caller.
 */
export async function prove(client) {
  const session = await told('connect', () => client.connect())
  await told('wrong code', () => refusal(() => client.wrongCode()))
  if (session === undefined) return
  await told('user info', () => client.userInfo(session))
  const last = (await told('refresh', client.refresh && (() => client.refresh(session)))) ?? session
  await told('revoke', client.revoke && (() => client.revoke(last)))
  if (!client.revoke) await atSimulator('people/mara/remove-app', { notify: false })
  await told('dead refresh token', client.deadToken && (() => refusal(() => client.deadToken(last))))
}

async function told(step, act) {
  if (!act) return void say({ step, outcome: 'not offered' })
  try {
    const result = await act()
    say({ step, outcome: typeof result === 'string' ? result : 'yes' })
    return result
  } catch (error) {
    say({ step, outcome: `FAILED: ${reasonOf(error)}` })
    return undefined
  }
}

async function refusal(act) {
  try {
    await act()
  } catch (error) {
    return `refused: ${reasonOf(error)}`
  }
  return 'NOT NOTICED'
}

function reasonOf(error) {
  const { data, cause, code, oauthError, message } = error ?? {}
  const body = typeof data?.payload === 'object' ? data.payload : data
  const inner = oauthError?.data ?? body?.error ?? cause?.body?.error ?? cause?.error ?? error?.error ?? message ?? code ?? error
  return String(typeof inner === 'object' ? JSON.stringify(inner) : inner)
    .split('\n')[0]
    .slice(0, 120)
}

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

/** Mara opens the page at TikTok and agrees. @returns where TikTok sends her browser */
export async function consent(authorizeUrl) {
  const page = await fetch(authorizeUrl)
  const html = await page.text()
  if (!page.ok) throw new Error(`TikTok's error page: ${/<code>([^<]+)/.exec(html)?.[1] ?? page.status}`)
  const [, action = ''] = /<form [^>]*action="([^"]*)"/.exec(html) ?? []
  const allow = [...html.matchAll(/name="allow" value="([^"]+)"/g)].map(([, scope]) => ['allow', scope])
  const address = new URL(action.replaceAll('&#38;', '&').replaceAll('&amp;', '&'), page.url)
  const agreed = await fetch(address, {
    method: 'POST',
    body: new URLSearchParams([['person', 'mara'], ['boxes', '1'], ...allow]),
    redirect: 'manual',
  })
  return new URL(agreed.headers.get('location') ?? `about:blank#${agreed.status}`)
}

export async function userByHand(accessToken) {
  const answer = await fetch('https://open.tiktokapis.com/v2/user/info/?fields=open_id,display_name', {
    headers: { authorization: `Bearer ${accessToken}` },
  })
  const { data, error } = await answer.json()
  if (error.code !== 'ok') throw new Error(error.code)
  return `by hand: ${data.user.display_name}`
}

export function atSimulator(path, body) {
  return fetch(`${process.env.SIMULATOR}/_sim/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

export function must(value, what) {
  if (!value) throw new Error(`no ${what}`)
  return value
}

/** For libraries that are a whole web application: requests in, answers out, cookies kept. */
export function browserOf(handle, origin) {
  const cookies = new Map()
  return async (path, { form, json, ...init } = {}) => {
    const headers = { origin, cookie: [...cookies].map((pair) => pair.join('=')).join('; ') }
    if (json) headers['content-type'] = 'application/json'
    const body = json ? JSON.stringify(json) : form && new URLSearchParams(form)
    const answer = await handle(new Request(new URL(path, origin), { ...init, headers, ...(body && { method: 'POST', body }) }))
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (name) cookies.set(name, value)
    }
    return answer
  }
}
