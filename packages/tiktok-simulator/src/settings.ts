/**
 * What the app's page in TikTok's portal would say, and how TikTok behaves where its documentation leaves a choice.
 * Everything here can be changed while the simulator runs.
 */
import { z } from 'zod'
import { longestSeconds } from './clock.ts'

export const scopes = [
  'user.info.basic',
  'user.info.profile',
  'user.info.stats',
  'video.list',
  'video.upload',
  'video.publish',
] as const
export type Scope = (typeof scopes)[number]

/** The routes that can be slowed or broken. `token` means both grants, `exchange` and `refresh` one each; `upload` whatever begins a publication. */
export const faultRoutes = [
  'token',
  'exchange',
  'refresh',
  'revoke',
  'user_info',
  'avatar',
  'upload',
  'chunk',
  'status',
  'creator_info',
  'videos',
] as const
export type FaultRoute = (typeof faultRoutes)[number]

const milliseconds = z.number().min(0).max(600_000)
const seconds = z
  .number()
  .min(0)
  .max(30 * 86_400)
const perMinute = z.number().int().min(1).nullable()
const span = /^(\d+)([smhd])\/(\d+)([smhd])$/
export type Lifetimes = `${number}${'s' | 'm' | 'h' | 'd'}/${number}${'s' | 'm' | 'h' | 'd'}`

export const Settings = z.strictObject({
  /** As the consent page names it. */
  app_name: z.string().min(1),
  /** Safe in an address. */
  client_key: z.string().regex(/^[\w-]{1,64}$/),
  client_secret: z.string().min(1),
  /** TikTok does not say how long its codes live; ten minutes is what its Business API says. */
  code_seconds: z.number().int().min(1).max(86_400),
  /** Access and refresh token. TikTok's pages of November 2026 say 2h/180d, everything before 24h/365d. */
  lifetimes: z
    .custom<Lifetimes>(isLifetimes, 'must look like 2h/180d, and be a thousand years at most')
    .meta({ type: 'string', pattern: span.source }),
  /** Scopes enabled on the app. A new one has no Display API: `user.info.basic` and what was added, such as `video.upload`. */
  app_scopes: z.array(z.enum(scopes)),
  /** Whether a request without `state` ends on the error page. The documentation requires it, and TikTok is seen to go on. */
  require_state: z.boolean(),
  /** Whether any grant opens the fields of `user.info.basic`: clients that ask for `user.info.profile` alone are seen to read them. */
  basic_implied: z.boolean(),
  /** Where a request for a scope that is not enabled ends: on TikTok's own error page, or at the callback as `invalid_scope`. */
  scope_refusal: z.enum(['page', 'callback']),
  /** Fields of the user info that fail the whole question although the scope is granted, each with its error code. */
  refused_fields: z.record(z.string(), z.string()),
  /** Registered redirect URIs, compared byte by byte. null: any. */
  redirect_uris: z.array(z.string()).max(10).nullable(),
  /** Ids of the people a sandbox app may connect; anyone else sees an error page. null: not a sandbox. */
  sandbox_targets: z.array(z.string()).max(10).nullable(),
  /** What the app demands. A challenge that is sent is verified in any mode. */
  pkce: z.enum(['off', 's256', 's256-hex']),
  /** `strict` as documented; `overlap`: the old refresh token goes on working; `none`: the same one comes back. */
  rotation: z.enum(['strict', 'overlap', 'none']),
  /** Whether the access token that a refresh replaces lives until its expiry. */
  old_access_token: z.enum(['lives', 'dies']),
  /** What revoking a dead token is answered with; TikTok does not say. */
  revoke_dead_token: z.enum(['invalid_grant', 'invalid_request', 'ok']),
  /** Which failures come in an HTTP 200: TikTok is seen to do so at its OAuth endpoints. */
  errors_in_200: z.enum(['oauth', 'all', 'none']),
  webhook_url: z.url().nullable(),
  /** Wait before the second delivery; it doubles from there. */
  webhook_retry_ms: milliseconds,
  /** Whether a retry is signed anew, with its own time, or carries the first signature; TikTok does not say. */
  resign_retries: z.boolean(),
  /** Answer this much later: everywhere, or per route. */
  latency_ms: z.union([milliseconds, z.partialRecord(z.enum(faultRoutes), milliseconds)]),
  avatar_seconds: z.number().int().min(1).max(longestSeconds),
  /** TikTok documents 600 in a sliding minute; off unless set, so that a benchmark can run. */
  user_info_per_minute: z.number().int().min(1).nullable(),
  /** TikTok documents 5 in any 24 hours; off unless set. */
  pending_shares_per_day: z.number().int().min(0).nullable(),
  /** Direct posts of one creator in any 24 hours: about 15, TikTok says; off unless set. */
  posts_per_day: z.number().int().min(0).nullable(),
  /** Creators the app may post for directly in any 24 hours: 5 before the audit, agreed on after it; off unless set. */
  active_users_per_day: z.number().int().min(0).nullable(),
  /** Per access token, as documented: whatever begins a publication, creator info, and the status of one. null: any number. */
  init_per_minute: perMinute,
  creator_info_per_minute: perMinute,
  status_per_minute: perMinute,
  /** TikTok documents 600 for each of the two video routes; off unless set. */
  videos_per_minute: perMinute,
  /** What direct posts of an app that TikTok has not audited must be: for the person only, or of a private account as well. */
  audit: z.enum(['passed', 'self_only', 'private_account']),
  /** Domains (`example.com`) and prefixes (`https://example.com/videos/`) that the app has proved to own. null: any. */
  verified_urls: z.array(z.string()).nullable(),
  /** Hosts that media is pulled from, beside this machine. */
  pull_hosts: z.array(z.string()),
  /** Between the last byte and the inbox, or the post. */
  processing_seconds: seconds,
  /** Between a post for everyone and its being seen, with its post id. */
  moderation_seconds: seconds,
})
export type Settings = z.infer<typeof Settings>

export const defaultSettings: Settings = {
  app_name: 'An app under test',
  client_key: 'awsimulator00001',
  client_secret: 'SimulatorSecretNotForProduction1',
  code_seconds: 600,
  lifetimes: '2h/180d',
  app_scopes: [...scopes],
  require_state: false,
  basic_implied: true,
  scope_refusal: 'page',
  refused_fields: {},
  redirect_uris: null,
  sandbox_targets: null,
  pkce: 'off',
  rotation: 'strict',
  old_access_token: 'lives',
  revoke_dead_token: 'invalid_grant',
  errors_in_200: 'oauth',
  webhook_url: null,
  webhook_retry_ms: 500,
  resign_retries: false,
  latency_ms: 0,
  avatar_seconds: 7200,
  user_info_per_minute: null,
  pending_shares_per_day: null,
  posts_per_day: null,
  active_users_per_day: null,
  init_per_minute: 6,
  creator_info_per_minute: 20,
  status_per_minute: 30,
  videos_per_minute: null,
  audit: 'passed',
  verified_urls: null,
  pull_hosts: [],
  processing_seconds: 0,
  moderation_seconds: 0,
}

/** @returns without the names whose value is undefined, which would hide what they are laid over */
export function definedOf(change: object): object {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
}

function isLifetimes(value: unknown): boolean {
  if (typeof value !== 'string' || !span.test(value)) return false
  const { access, refresh } = lifetimesInSeconds(value as Lifetimes)
  return Math.max(access, refresh) <= longestSeconds
}

/** @returns seconds of life for a new access token and for a new grant's refresh token */
export function lifetimesInSeconds(lifetimes: Lifetimes): { access: number; refresh: number } {
  const [, accessCount, accessUnit, refreshCount, refreshUnit] = span.exec(lifetimes) ?? []
  return { access: inSeconds(accessCount, accessUnit), refresh: inSeconds(refreshCount, refreshUnit) }
}

export function latencyMs(settings: Settings, routes: readonly FaultRoute[]): number {
  const { latency_ms: latency } = settings
  if (typeof latency === 'number') return latency
  return routes.reduce((longest, route) => Math.max(longest, latency[route] ?? 0), 0)
}

const unitSeconds: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 }

function inSeconds(count = '0', unit = 's'): number {
  return Number(count) * (unitSeconds[unit] ?? 1)
}
