// The door to TikTok: one app's credentials, one pool of connections, and every question the service asks.
import { Agent, type Dispatcher } from 'undici'
import { call, type Send } from '../outbound/call.ts'
import { type ForwardProxy, wayOut } from '../outbound/proxy.ts'
import { isLoopback } from '../outbound/public-address.ts'
import { type AvatarAnswer, avatar } from './avatar.ts'
import {
  type App,
  type AuthorizationRequest,
  authorizationUrl,
  type CodeExchange,
  exchangeCode,
  type RevokeAnswer,
  refresh,
  revoke,
} from './oauth.ts'
import type { TokenAnswer } from './token-answer.ts'
import { type UserInfoAnswer, userInfo } from './user-info.ts'

export type { AvatarAnswer } from './avatar.ts'
export type { RevokeAnswer } from './oauth.ts'
export type { TokenAnswer, TokenSet } from './token-answer.ts'
export type { TikTokUser, UserField, UserInfoAnswer } from './user-info.ts'

/** What TikTok says comes back as a value, its refusals and its absence too: no method here throws for them. */
export interface TikTok {
  authorizationUrl(request: AuthorizationRequest): string
  exchangeCode(request: CodeExchange): Promise<TokenAnswer>
  refresh(refreshToken: string): Promise<TokenAnswer>
  revoke(accessToken: string): Promise<RevokeAnswer>
  userInfo(accessToken: string, scopes: readonly string[]): Promise<UserInfoAnswer>
  avatar(url: string): Promise<AvatarAnswer>
  /** Waits for the calls in flight, each of which ends by its deadline; later calls answer `not_sent`. */
  close(): Promise<void>
}

/** The documented answers stay under 4 KiB. */
const maxBytes = 64 * 1024
/** A page waits for it, and a placeholder is at hand. */
const pictureMs = 5000

/**
 * 192 for what the background refreshes (background/refresher.ts), and a quarter for those who wait: readers, exchanges, revocations. A
 * call that finds no free connection before its deadline answers `not_sent`.
 */
const connections = 256

/**
 * @param options.dispatcher instead of our own pools, for tests; whoever gives it closes it
 */
export function createTikTok(
  options: App & {
    proxy?: ForwardProxy | undefined
    dispatcher?: Dispatcher
    timeouts?: Partial<{ connectMs: number; totalMs: number }>
  },
): TikTok {
  const { authBaseUrl, apiBaseUrl, clientKey, clientSecret, proxy, dispatcher, timeouts } = options
  const app = { authBaseUrl, apiBaseUrl, clientKey, clientSecret }
  const connectMs = timeouts?.connectMs ?? 3000
  const totalMs = timeouts?.totalMs ?? 10_000
  const trustsLoopback = isLoopback(new URL(apiBaseUrl).hostname)

  const api = dispatcher ?? createPool({ connections, connect: wayOut(proxy, { timeout: connectMs }) })
  const pictures =
    dispatcher ?? createPool({ connections: 16, connect: wayOut(proxy, { timeout: connectMs, publicOnly: !trustsLoopback }) })
  let closing: Promise<void> | undefined // undici's own close refuses to be repeated
  const send: Send = (request) => call(api, { ...request, maxBytes, totalMs })

  return {
    authorizationUrl: (request) => authorizationUrl(app, request),
    exchangeCode: (request) => exchangeCode(app, send, request),
    refresh: (refreshToken) => refresh(app, send, refreshToken),
    revoke: (accessToken) => revoke(app, send, accessToken),
    userInfo: (accessToken, scopes) => userInfo(app, send, accessToken, scopes),
    avatar: (url) => avatar(pictures, { url, trustsLoopback, totalMs: Math.min(totalMs, pictureMs) }),
    close() {
      closing ??= dispatcher ? Promise.resolve() : Promise.all([api.close(), pictures.close()]).then(() => undefined)
      return closing
    },
  }
}

function createPool(options: Agent.Options): Agent {
  return new Agent({
    ...options,
    // One request per connection at a time, over HTTP/1.1: a connection that dies takes one refresh with it and not a hundred, and
    // undici re-sends nothing (over HTTP/2 it may).
    pipelining: 1,
    allowH2: false,
    // A kept connection that TikTok closes just as we write makes that call ambiguous: keep them for a short time only.
    keepAliveTimeout: 4000,
    keepAliveMaxTimeout: 15_000,
    // The deadline of the whole call stands above these two.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
}
