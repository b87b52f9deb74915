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
  code_seconds: row('inferred', "ten minutes, as TikTok's Business API says"),
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
  posts_per_day: row('documented', 'about 15 in any 24 h; off unless set', '/docs/en/content-sharing-guidelines, read Nov 2026'),
  active_users_per_day: row(
    'documented',
    '5 before the audit; off unless set. Drafts are not counted: inferred',
    '/docs/en/content-sharing-guidelines, read Nov 2026',
  ),
  init_per_minute: row('documented', '6 per token', '/doc/content-posting-api-reference-direct-post, read Nov 2026'),
  creator_info_per_minute: row(
    'documented',
    '20 per token',
    '/doc/content-posting-api-reference-query-creator-info, read Nov 2026',
  ),
  status_per_minute: row('documented', '30 per token', '/doc/content-posting-api-reference-get-video-status, read Nov 2026'),
  videos_per_minute: row(
    'documented',
    '600 in a sliding minute; off unless set',
    '/docs/en/tiktok-api-v2-rate-limit, 4 Aug 2026',
  ),
  audit: row('observed', 'documented: a private account; some get by with `SELF_ONLY`', 'public threads, looked up 27 Nov 2026'),
  verified_urls: row(
    'documented',
    'domains with what is under them, and prefixes',
    '/doc/content-posting-api-media-transfer-guide, read Nov 2026',
  ),
  pull_hosts: row('ours', 'media is fetched from this machine only'),
  processing_seconds: row('inferred', 'half a minute for 512 MB, TikTok says; none here'),
  moderation_seconds: row('inferred', 'usually a minute, TikTok says; none here'),
}

export const evidenceOfBehaviours = {
  consent: row(
    'documented',
    'a good request is shown to the person, who allows, declines scopes or says no',
    '/doc/login-kit-web, read Nov 2026',
  ),
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
  'life of a code': row('inferred', 'spent by its first presentation; its reuse revokes nothing'),
  'end of a refresh token': row('inferred', 'fixed at the grant, counts down; a second grant leaves the first alone'),
  'a person who may not connect': row('inferred', 'access_denied at the callback'),
  '429 of the token endpoint': row('inferred', 'its shape'),
  'chunks of a video': row(
    'documented',
    '5 to 64 MB, count rounded down, the last takes the rest; 206 and 201, 400, 403 after an hour, 404, 416',
    '/doc/content-posting-api-media-transfer-guide, read Nov 2026',
  ),
  'a single chunk is the whole video': row(
    'observed',
    'else `The chunk size is invalid`, since about 9 Aug 2026',
    'DayMoonDevelopment/post-for-me#327, 13 Aug 2026',
  ),
  'posting says invalid_params': row(
    'observed',
    "the pages say `invalid_param`; the sentences are TikTok's",
    'TikTok-LoginKit-PHP#11, Feb 2024',
  ),
  'a PUT without a Content-Range': row(
    'observed',
    '416; another malformed header is a 400',
    'public notes, looked up 27 Nov 2026',
  ),
  'sizes in MB': row('inferred', '5,000,000 bytes are enough, 64 MiB not too much'),
  'a chunk of another size': row('inferred', '416, as for one out of order; what broke off is sent again'),
  'life of a publication': row(
    'documented',
    'upload or download, inbox or post, moderation; reasons of failure',
    '/doc/content-posting-api-reference-get-video-status, read Nov 2026',
  ),
  'notices of a publication': row(
    'documented',
    'five events; `complete` again when a draft is posted again',
    '/doc/content-posting-api-reference-get-video-status, read Nov 2026',
  ),
  'publish_type of a direct post': row('inferred', '`DIRECT_PUBLISH`; documented is `INBOX_SHARE` alone'),
  'ids of posts': row(
    'documented',
    'numbers of 64 bits in `publicaly_available_post_id`, text in notices and videos',
    '/doc/content-posting-api-reference-get-video-status, read Nov 2026',
  ),
  'creator info says no with a 200': row(
    'documented',
    'caps and bans, intentionally',
    '/doc/content-posting-api-reference-query-creator-info, read Nov 2026',
  ),
  'a posted draft makes room': row('observed', 'at once', 'gitroomhq/postiz-app#1300, compiled 22 Nov 2026'),
  'status of the cap of drafts': row(
    'observed',
    'documented as 403, which it is here; a 400 was seen',
    'public code, 24 Sep 2026',
  ),
  'order of refusals': row('inferred', 'token, scope, rate, body, caps, audit, privacy, ownership'),
  'pulling from a URL': row(
    'documented',
    'https, no redirect, an hour at most; http for this machine is ours',
    '/doc/content-posting-api-media-transfer-guide, read Nov 2026',
  ),
  'format of a pulled file': row('inferred', 'by its content type: `file_format_check_failed` for a page, or a PNG as photo'),
  photos: row(
    'documented',
    'up to 35, by URL only; title 90, description 4000',
    '/doc/content-posting-api-reference-photo-post, read Nov 2026',
  ),
  'lists of videos': row(
    'documented',
    'public ones, by time, 20 to a page and 20 to a question',
    '/doc/tiktok-api-v2-video-list and -query, read Nov 2026',
  ),
  'older videos': row('ours', 'made up, as many as the profile counts'),
  'open_id and union_id': row(
    'documented',
    "an open_id for each app, one union_id over a developer's apps",
    '/doc/tiktok-api-v2-get-user-info, read Nov 2026',
  ),
  'sandbox and production': row(
    'observed',
    'each with its own key, secret, redirect list and target users; keys of sandboxes begin with `sb`',
    'public notes, compiled 22 Nov 2026',
  ),
  'codes and tokens of another app': row(
    'inferred',
    'are not known: `invalid_grant`; a revocation ends the grants of its own app alone',
  ),
  'a scope that the app has no more': row('inferred', '`scope_not_authorized`, though the person allowed it'),
  'apps and snapshots': row('ours', 'apps made by a call, worlds put back, saved and loaded'),
  'not simulated': row(
    'ours',
    '501 for research and data portability; no Business API; pictures are PNG; videos are counted, not looked at',
  ),
} satisfies Readonly<Record<string, Evidence>>

export function evidenceTable(): string {
  const line = (what: string, { standing, known, source }: Evidence) => `| ${what} | ${standing} | ${known} | ${source} |`
  return [
    '| what | standing | known | source |',
    '|---|---|---|---|',
    ...Object.entries(evidenceOfBehaviours).map(([what, evidence]) => line(what, evidence)),
    ...Object.entries(evidenceOfSettings).map(([name, evidence]) => line(`setting \`${name}\``, evidence)),
  ].join('\n')
}
