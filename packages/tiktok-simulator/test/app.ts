/** A small app at the simulated TikTok, written against TikTok's documentation as any team would, over real HTTP. */
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import root, { type Test } from 'tap'
import type { DescribedExchange } from '../src/inspector.ts'
import { type App, type Simulator, type SimulatorOptions, startSimulator } from '../src/server.ts'
import { holdToDescription } from './described.ts'

export const redirectUri = 'http://127.0.0.1:3000/callback'
export const allScopes = 'user.info.basic,user.info.profile,user.info.stats,video.upload'
const creatorScopes = `${allScopes},video.list,video.publish`

export interface Reply {
  status: number
  headers: Headers
  body: Record<string, unknown>
}

export async function simulatorFor(t: Test, options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await startSimulator(options)
  t.teardown(async () => {
    requests.push([simulator.clientSecret, simulator.requests()])
    await simulator.close()
  })
  return simulator
}

const requests: [clientSecret: string, DescribedExchange[]][] = []

/** Whatever the tests asked: its answer has a reason, and nothing that opens anything is told of it. At the end, so that all is closed by then. */
root.teardown(() => {
  for (const [clientSecret, told] of requests) {
    for (const one of told) {
      const text = JSON.stringify(one)
      if (one.tiktok_status !== null && one.rule === null) throw new Error(`src/reasons.ts has no reason for ${text}`)
      if (text.includes(clientSecret) || /\b(act|rft|clt)\.\w/.test(text))
        throw new Error(`/_sim/requests tells a secret: ${text}`)
    }
  }
})

export function authorizeUrl(simulator: App, changes: Record<string, string | undefined> = {}): string {
  const parameters = {
    client_key: simulator.clientKey,
    response_type: 'code',
    scope: allScopes,
    redirect_uri: redirectUri,
    state: 'state-1',
    ...changes,
  }
  const given = Object.entries(parameters).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return `${simulator.url}/v2/auth/authorize/?${new URLSearchParams(given)}`
}

/** Consents by script. @returns the parameters that come back to the app */
export function consent(simulator: App, person: string, changes: Record<string, string> = {}, decline: string[] = []) {
  const decided = simulator.authorize({ authorize_url: authorizeUrl(simulator, changes), person, decline })
  if (!('redirect_to' in decided)) throw new Error(`the error page came up: ${decided.errorType}`)
  return new URL(decided.redirect_to).searchParams
}

export function postForm(simulator: App, path: string, fields: Record<string, string>, signal?: AbortSignal): Promise<Reply> {
  const form = { client_key: simulator.clientKey, client_secret: simulator.clientSecret, ...fields }
  return reply(
    fetch(simulator.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
      redirect: 'manual',
      ...(signal && { signal }),
    }),
  )
}

export function exchange(simulator: App, code: string, fields: Record<string, string> = {}): Promise<Reply> {
  const form = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, ...fields }
  return postForm(simulator, '/v2/oauth/token/', form)
}

export function refresh(simulator: App, refreshToken: unknown, signal?: AbortSignal): Promise<Reply> {
  const form = { grant_type: 'refresh_token', refresh_token: String(refreshToken) }
  return postForm(simulator, '/v2/oauth/token/', form, signal)
}

export function revoke(simulator: App, accessToken: unknown): Promise<Reply> {
  return postForm(simulator, '/v2/oauth/revoke/', { token: String(accessToken) })
}

/** Consent and exchange. @returns the token set */
export async function connect(simulator: App, person: string): Promise<Record<string, unknown>> {
  const code = consent(simulator, person).get('code') ?? ''
  return (await exchange(simulator, code)).body
}

/** @returns the access token of a person who allowed everything that posts and lists, but what they declined */
export async function connectCreator(simulator: App, person: string, decline: string[] = []): Promise<unknown> {
  const code = consent(simulator, person, { scope: creatorScopes }, decline).get('code') ?? ''
  return (await exchange(simulator, code)).body.access_token
}

export function userInfo(simulator: App, accessToken: unknown, fields = 'open_id,display_name'): Promise<Reply> {
  const headers = { authorization: `Bearer ${accessToken}` }
  return reply(fetch(`${simulator.url}/v2/user/info/?fields=${fields}`, { headers }))
}

export interface ApiReply<Data = Record<string, unknown>> {
  status: number
  body: { data: Data; error: { code: string; message: string; log_id: string } }
}

/** One call of the posting or video API. */
export async function api<Data = Record<string, unknown>>(
  simulator: App,
  path: string,
  accessToken: unknown,
  body?: object,
): Promise<ApiReply<Data>> {
  const headers = { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json; charset=UTF-8' }
  const answer = reply(fetch(simulator.url + path, { method: 'POST', headers, ...(body && { body: JSON.stringify(body) }) }))
  return answer as unknown as Promise<ApiReply<Data>>
}

export interface Begun {
  publish_id: string
  upload_url: string
}

/** A video of this size, as the source of a draft or of a post. */
export function fileOf(video_size: number, chunk_size = video_size) {
  const total_chunk_count = Math.floor(video_size / chunk_size)
  return { source_info: { source: 'FILE_UPLOAD', video_size, chunk_size, total_chunk_count } }
}

export const draftRoute = '/v2/post/publish/inbox/video/init/'
export const postRoute = '/v2/post/publish/video/init/'
export const photoRoute = '/v2/post/publish/content/init/'

export function statusOf(simulator: App, accessToken: unknown, publish_id: string) {
  return api(simulator, '/v2/post/publish/status/fetch/', accessToken, { publish_id })
}

/** Sends bytes `first` to `last` of a video; the rest of what a request may say can be changed. */
export function putBytes(url: string, first: number, last: number, total: number, headers: Record<string, string> = {}) {
  return fetch(url, {
    method: 'PUT',
    headers: { 'content-type': 'video/mp4', 'content-range': `bytes ${first}-${last}/${total}`, ...headers },
    body: Buffer.alloc(last - first + 1),
  })
}

/** Every answer is held to the description. */
export async function sim(simulator: App, method: string, path: string, body?: object): Promise<Reply> {
  const answer = await reply(
    fetch(`${simulator.url}/_sim/${path}`, {
      method,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    }),
  )
  holdToDescription(method, path, answer, body)
  return answer
}

/** A webhook receiver that answers with the given statuses in turn, then with 200. */
export async function receiverFor(t: Test, statuses: number[] = []) {
  const received: { headers: IncomingHttpHeaders; body: string }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      received.push({ headers: request.headers, body })
      response.writeHead(statuses[received.length - 1] ?? 200).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`, received }
}

/** Where media is fetched from. @returns its address */
export async function mediaServer(t: Test, serve: RequestListener) {
  const server = createServer(serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function reply(answer: Promise<Response>): Promise<Reply> {
  const response = await answer
  const text = await response.text()
  const body: Record<string, unknown> = /^\s*[{[]/.test(text) ? JSON.parse(text) : { text }
  return { status: response.status, headers: response.headers, body }
}
