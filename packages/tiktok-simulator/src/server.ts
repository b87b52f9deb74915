/**
 * TikTok, offline: the authorize page, the token endpoint and the API of the real one, from one address, plus a control
 * API under `/_sim`. Start it inside a test, or by itself: `npx tiktok-simulator`.
 */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Apps, type NewApp } from './apps.ts'
import { type AsTikTok, type AsTikTokOptions, serveAsTikTok, whyRefused } from './as-tiktok.ts'
import type { ParameterError } from './authorization-request.ts'
import { decideByScript, type ScriptedDecision, showConsent, takeConsent } from './authorize.ts'
import { avatarCall } from './avatars.ts'
import type { Clock } from './clock.ts'
import { changeSettings, control, type IssuedGrant, issueToCrowd } from './control.ts'
import type { Crowd, SettingsChange } from './control-description.ts'
import type { Call, Faults } from './faults.ts'
import type { Grants } from './grants.ts'
import { home, removeAppByButton } from './home-page.ts'
import { isAtAnotherHost } from './hosts.ts'
import { type DescribedExchange, describeExchanges } from './inspector.ts'
import type { People } from './people.ts'
import { perform } from './perform.ts'
import { chunkCall } from './posting/chunks.ts'
import { creatorInfoCall } from './posting/creator-info.ts'
import { postByButton } from './posting/inbox.ts'
import { initCall } from './posting/init.ts'
import type { Publications } from './posting/publications.ts'
import { cancelCall, statusCall } from './posting/status.ts'
import { videoListCall, videoQueryCall } from './posting/videos.ts'
import { type RemovalReason, removeApp, revokeCall } from './revoke.ts'
import { defaultSettings, definedOf, type Lifetimes, Settings } from './settings.ts'
import { Snapshots } from './snapshots.ts'
import { rememberIn } from './state.ts'
import type { Stats } from './stats.ts'
import { tokenCall } from './token.ts'
import { userInfoCall } from './user-info.ts'
import { type Door, refusedAtControl, refusedAtPage, refusedForm } from './visitors.ts'
import type { Webhooks } from './webhooks.ts'
import { type Answer, BodyTooLarge, CallerGone, json, type Request, readRequest, send, text } from './wire.ts'
import type { World } from './world.ts'

export interface SimulatorOptions {
  host?: string | undefined
  /** 0, the default, takes any free port. */
  port?: number | undefined
  clientKey?: string | undefined
  clientSecret?: string | undefined
  lifetimes?: Lifetimes | undefined
  /** Compared byte by byte; undefined allows any. */
  redirectUris?: string[] | undefined
  /** What the app demands; a challenge that is sent is verified in any mode. */
  pkce?: Settings['pkce'] | undefined
  webhookUrl?: string | undefined
  latencyMs?: number | undefined
  /** Where others reach it, when that is not where it listens: behind a proxy, in a container. An http or https address without a path. */
  publicUrl?: string | undefined
  /** Asked for as a bearer token at `/_sim`. */
  controlToken?: string | undefined
  /** Where grants outlive the process; without it everything is forgotten. */
  stateFile?: string | undefined
  /** Also under TikTok's own names, with TLS and behind a proxy, for clients that have them built in. */
  asTikTok?: AsTikTokOptions | undefined
  /** Anything else that can be set, by its name at `POST /_sim/settings`. */
  settings?: SettingsChange | undefined
  /** Others beside the first, such as its sandbox. */
  apps?: readonly NewApp[] | undefined
}

/** An app; the handles do what the control API does, without the way through HTTP. */
export interface App {
  /** For TIKTOK_AUTH_BASE_URL and TIKTOK_API_BASE_URL alike: the public address if there is one. */
  readonly url: string
  readonly clientKey: string
  readonly clientSecret: string
  readonly clock: Clock
  readonly people: People
  readonly grants: Grants
  readonly faults: Faults
  readonly stats: Stats
  readonly webhooks: Webhooks
  readonly publications: Publications
  readonly settings: Readonly<Settings>
  /** The last requests, newest first: what TikTok says to each, and why. Secrets are masked. */
  requests(): DescribedExchange[]
  changeSettings(change: SettingsChange): void
  authorize(decision: ScriptedDecision): { redirect_to: string } | ParameterError
  issueGrants(crowd: Crowd): IssuedGrant[]
  /** By the person's id or open_id. @returns how many grants ended */
  removeApp(person: string, reason?: RemovalReason): number
  /** Everything as at the start: for this app and the others of its developer, if there are any. */
  reset(): void
  saveSnapshot(name: string): void
  /** @returns false when there is none by this name */
  loadSnapshot(name: string): boolean
}

/** A running simulator, and the app that it started with. */
export interface Simulator extends App {
  /** Where it listens. */
  readonly localUrl: string
  /** Only when it was asked for; the proxy is at `localUrl`. */
  readonly asTikTok: Omit<AsTikTok, 'close'> | undefined
  /** @throws Error when there is an app by this client key already */
  addApp(app?: NewApp): App
  /** All there are, the one that it started with first. */
  apps(): App[]
  close(): Promise<void>
}

export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const closing = new AbortController()
  const apps = new Apps(settingsFrom(options), new Snapshots(options.stateFile), closing.signal)
  const addApp = (wanted: NewApp) => {
    const world = apps.add(wanted)
    if (!world) throw new Error(`There are two apps by the client key ${wanted.client_key}: give one of them another.`)
    return world
  }
  for (const app of options.apps ?? []) addApp(app)
  const remember = options.stateFile === undefined ? () => {} : rememberIn(options.stateFile, apps)
  const door: Door = {
    controlToken: options.controlToken,
    publicUrl: options.publicUrl === undefined ? undefined : originAlone(options.publicUrl),
  }
  const listener: RequestListener = (incoming, response) => {
    serve(apps, door, remember, incoming, response).catch((error) => apologise(response, error))
  }
  apps.onChange(remember)
  const server = createServer({ keepAliveTimeout: 65_000 }, listener)
  const { host = '127.0.0.1' } = options
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, host, resolve)
  })
  const { port } = server.address() as AddressInfo
  const asTikTok = options.asTikTok && (await serveAsTikTok(server, host, options.asTikTok, listener))
  const localUrl = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  const url = door.publicUrl ?? localUrl
  return {
    ...handlesOf(apps, apps.first, url),
    localUrl,
    asTikTok,
    addApp: (app = {}) => handlesOf(apps, addApp(app), url),
    apps: () => apps.all().map((world) => handlesOf(apps, world, url)),
    close: async () => {
      closing.abort()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
      await asTikTok?.close()
      for (const world of apps.all()) await world.webhooks.settled()
      remember()
    },
  }
}

function handlesOf(apps: Apps, world: World, url: string): App {
  return {
    ...world,
    url,
    clientKey: world.settings.client_key,
    clientSecret: world.settings.client_secret,
    requests: () => describeExchanges([world]).requests,
    changeSettings: (change) => void changeSettings(world, change),
    authorize: (decision) => decideByScript(world, decision),
    issueGrants: (crowd) => [...issueToCrowd(world, crowd)],
    removeApp: (id, reason = 1) => {
      const person = world.people.findByEither(id)
      return person ? removeApp(world, person, reason) : 0
    },
    reset: () => apps.reset(world),
    saveSnapshot: (name) => apps.saveSnapshot(world, name),
    loadSnapshot: (name) => apps.loadSnapshot(world, name),
  }
}

/** @throws Error for an address with more than that: the paths are TikTok's, and start at the root */
function originAlone(publicUrl: string): string {
  const url = URL.canParse(publicUrl) ? new URL(publicUrl) : undefined
  if (url && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url.origin
  throw new Error(
    'The public URL has to be like https://tiktok.example.com: http or https, and nothing behind the name and port.',
  )
}

function settingsFrom(options: SimulatorOptions): Settings {
  return Settings.parse({
    ...defaultSettings,
    client_key: options.clientKey ?? defaultSettings.client_key,
    client_secret: options.clientSecret ?? defaultSettings.client_secret,
    lifetimes: options.lifetimes ?? defaultSettings.lifetimes,
    redirect_uris: options.redirectUris ?? null,
    pkce: options.pkce ?? defaultSettings.pkce,
    webhook_url: options.webhookUrl ?? null,
    latency_ms: options.latencyMs ?? defaultSettings.latency_ms,
    ...definedOf(options.settings ?? {}),
  })
}

async function serve(
  apps: Apps,
  door: Door,
  remember: () => void,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const remembering = (process: () => Answer) => () => {
    const answer = process()
    remember()
    return answer
  }
  const request = await readRequest(incoming, door.publicUrl)
  if (request.path.startsWith('/_sim/')) {
    const refusal = refusedAtControl(request, door)
    return send(response, refusal ?? remembering(() => control(apps, request))())
  }
  // A proxy's request that needs no tunnel: TikTok speaks only TLS, and nobody else is here.
  if (/^https?:\/\//.test(request.path)) return send(response, text(403, whyRefused(new URL(request.path).hostname)))
  const world = apps.of(request)
  world.stats.count('requests')
  if (isOwnPage(request))
    return send(response, refusedAtPage(request, door) ?? remembering(() => pageFor(apps, world, request))())

  const exchange = world.exchanges.begin(request, response)
  const answered = (answer: Answer) => world.exchanges.answered(exchange, answer)
  if (isAtAnotherHost(request.headers.host, request.path)) return send(response, answered(unsupportedPath()))
  const call = callFor(world, request)
  if (!call) return send(response, answered(refusedConsent(request) ?? remembering(() => pageFor(apps, world, request))()))
  exchange.call = call
  const process = remembering(() => answered(call.process()))
  await perform(world, { ...call, process }, response, (fault) => {
    exchange.fault = fault
  })
}

/** The routes that can be scripted to fail. */
function callFor(world: World, request: Request): Call | undefined {
  switch (`${request.method} ${request.path}`) {
    case 'POST /v2/oauth/token/':
      return tokenCall(world, request)
    case 'POST /v2/oauth/revoke/':
      return revokeCall(world, request)
    case 'GET /v2/user/info/':
      return userInfoCall(world, request)
    case 'POST /v2/post/publish/status/fetch/':
      return statusCall(world, request)
    case 'POST /v2/post/publish/cancel/':
      return cancelCall(world, request)
    case 'POST /v2/post/publish/creator_info/query/':
      return creatorInfoCall(world, request)
    case 'POST /v2/video/list/':
      return videoListCall(world, request)
    case 'POST /v2/video/query/':
      return videoQueryCall(world, request)
    default:
      return initCall(world, request) ?? chunkCall(world, request) ?? avatarCall(world, request)
  }
}

/** What people look at and press buttons on is ours; the consent page is TikTok's and has its name. */
function isOwnPage({ path }: Request): boolean {
  return path === '/' || /^\/(people|publications)\//.test(path)
}

function refusedConsent(request: Request): Answer | undefined {
  return request.method === 'POST' && request.path.startsWith('/v2/auth/authorize') ? refusedForm(request) : undefined
}

function pageFor(apps: Apps, world: World, request: Request): Answer {
  switch (`${request.method} ${request.path}`) {
    case 'GET /v2/auth/authorize/':
    case 'GET /v2/auth/authorize':
      return showConsent(world, request)
    case 'POST /v2/auth/authorize/':
      return takeConsent(world, request)
    case 'GET /':
      return home(world, apps.ofSameDeveloper(world))
    default:
      return removeAppByButton(world, request) ?? postByButton(world, request) ?? notFound(request)
  }
}

/** What TikTok has and the simulator has not, so that nobody looks for the mistake in their own client. */
const notSimulated = /^\/v2\/(research|user\/data)\//

function notFound({ method, path }: Request): Answer {
  if (method === 'POST' && notSimulated.test(path)) {
    const message = 'TikTok has this route; the simulator does not simulate it.'
    return json(501, { data: {}, error: { code: 'not_simulated', message, log_id: '' } })
  }
  if (path.startsWith('/v2/')) return unsupportedPath()
  return json(404, { error: 'not_found', error_description: 'No such route here.' })
}

/** TikTok looks method and path up together, and a wrong method or a slash too few reads like this. */
function unsupportedPath(): Answer {
  return text(404, 'Unsupported path(Janus)')
}

function apologise(response: ServerResponse, error: unknown): void {
  const stopped = error instanceof CallerGone || (error instanceof Error && error.name === 'AbortError')
  if (stopped || response.headersSent || response.destroyed) {
    response.destroy()
  } else if (error instanceof BodyTooLarge) {
    send(response, json(413, { error: 'the body is too large' }, { connection: 'close' }))
  } else {
    console.error('the simulator failed', error)
    send(response, json(500, { error: 'the simulator failed; this is a bug in it' }))
  }
}
