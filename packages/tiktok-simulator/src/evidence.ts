/** How true the simulator is: what each setting and behaviour rests on. `npm run docs` writes these rows into docs/simulator.md. */
import type { Settings } from './settings.ts'

/** `ours`: a convenience of the simulator that claims nothing about TikTok. */
export type Standing = 'documented' | 'observed' | 'inferred' | 'ours'

export interface Evidence {
  readonly standing: Standing
  /** What is known, in a few words. */
  readonly known: string
  /** A page of developers.tiktok.com or a public thread, with its date or the month it was read in; empty where there is none. */
  readonly source: string
}

const row = (standing: Standing, known: string, source = ''): Evidence => ({ standing, known, source })

export const evidenceOfSettings: Readonly<Record<keyof Settings, Evidence>> = {
  app_name: row('ours', 'as the consent page names the app'),
  client_key: row('documented', 'names the app in every request', '/doc/login-kit-web, read Nov 2026'),
  client_secret: row('documented', 'signs notices too', '/doc/webhooks-verification, read Nov 2026'),
  lifetimes: row(
    'documented',
    '2 h and 180 d; older pages say 24 h and 365 d',
    '/docs/zh-Hans/oauth-user-access-token-management, 5 Nov 2026',
  ),
  app_scopes: row('observed', 'new apps are not given profile, stats and video.list', 'trypostit/trypost#315, 30 Aug 2026'),
  require_state: row(
    'observed',
    'documented as required, and passes without',
    'nextauthjs/next-auth#11468, #12437, looked up 25 Nov 2026',
  ),
  basic_implied: row(
    'observed',
    'a grant of user.info.profile alone reads basic fields',
    "better-auth's default, looked up 25 Nov 2026",
  ),
  scope_refusal: row('inferred', 'page or callback: both are possible'),
  refused_fields: row('inferred', 'a field that an app does not get fails the whole question'),
  redirect_uris: row('observed', 'compared byte by byte', 'public threads, compiled 22 Nov 2026'),
  sandbox_targets: row('documented', 'ten people who were added first', '/doc/add-a-sandbox, read Nov 2026'),
  pkce: row('documented', 'hex for desktop apps; whether web apps need it is unknown', '/doc/login-kit-desktop, read Nov 2026'),
  rotation: row(
    'documented',
    'a refresh replaces the token; grace is unknown',
    '/docs/en/oauth-refresh-a-user-access-token, 2 Nov 2026',
  ),
  old_access_token: row('inferred', 'lives on after a refresh'),
  revoke_dead_token: row('inferred', 'how a dead token is answered'),
  errors_in_200: row('observed', 'OAuth failures inside a 200', 'clients that read `error` out of 2xx, looked up 25 Nov 2026'),
  webhook_url: row('documented', 'one address per app', '/doc/webhooks-overview, read Nov 2026'),
  webhook_retry_ms: row('inferred', 'six attempts in seconds; TikTok documents back-off for 72 h'),
  resign_retries: row('inferred', 'a retry carries the first signature'),
  latency_ms: row('ours', 'slows answers'),
  avatar_seconds: row('inferred', 'links to pictures die; after how long is not said'),
  user_info_per_minute: row(
    'documented',
    '600 in a sliding minute; off unless set',
    '/docs/en/tiktok-api-v2-rate-limit, 4 Aug 2026',
  ),
  pending_shares_per_day: row(
    'documented',
    '5 in any 24 h; off unless set',
    '/doc/content-posting-api-reference-upload-video, read Nov 2026',
  ),
}

export const evidenceOfBehaviours: Readonly<Record<string, Evidence>> = {
  'token answers are flat': row('documented', 'success and failure alike', '/doc/oauth-error-handling, read Nov 2026'),
  'API answers are an envelope': row(
    'documented',
    'data and error, with the listed codes',
    '/doc/tiktok-api-v2-error-handling, read Nov 2026',
  ),
  'fields need their scopes': row(
    'documented',
    'one field too many fails all',
    '/doc/tiktok-api-v2-get-user-info, read Nov 2026',
  ),
  'notices are signed': row(
    'documented',
    'reasons 0 to 5, tokens dead on arrival',
    '/doc/webhooks-verification and -events, read Nov 2026',
  ),
  avatar_url_200: row('observed', 'in no table, and accepted', 'passport-tiktok#7, Apr 2024'),
  'a short PKCE verifier': row('observed', 'compared, not measured', 'nuxt-auth-utils#153, Aug 2024'),
  'no grant_type': row('observed', 'invalid_request, malformed', 'public clients, looked up 25 Nov 2026'),
  'wrong method or slash': row('observed', '404, Unsupported path(Janus)', 'arctic#251, looked up 25 Nov 2026'),
  'only a plain form': row('observed', 'not even a charset behind the content type', 'oauth2_client#204, looked up 25 Nov 2026'),
  'the page for a wrong request': row(
    'observed',
    'no callback; errCode 10003, 10006, 10007, 10008',
    'public threads, compiled 22 Nov 2026',
  ),
  'marks in codes and tokens': row(
    'observed',
    '`*` and `!` in codes, `!` in tokens; fields left out',
    'public threads, compiled 22 Nov 2026',
  ),
  'errCode 10004 for a scope': row('inferred', 'and that the page is a 400'),
  'life of a code': row('inferred', 'ten minutes, spent by its first presentation; its reuse revokes nothing'),
  'end of a refresh token': row('inferred', 'fixed at the grant, counts down; a second grant leaves the first alone'),
  'a person who may not connect': row('inferred', 'access_denied at the callback'),
  '429 of the token endpoint': row('inferred', 'its shape'),
  'not simulated': row(
    'ours',
    '501 for publishing routes, `video/list` and `video/query`; no Business API; one app; pictures are PNG',
  ),
}

export function evidenceTable(): string {
  const line = (what: string, { standing, known, source }: Evidence) => `| ${what} | ${standing} | ${known} | ${source} |`
  return [
    '| what | standing | known | source |',
    '|---|---|---|---|',
    ...Object.entries(evidenceOfBehaviours).map(([what, evidence]) => line(what, evidence)),
    ...Object.entries(evidenceOfSettings).map(([name, evidence]) => line(`setting \`${name}\``, evidence)),
  ].join('\n')
}
