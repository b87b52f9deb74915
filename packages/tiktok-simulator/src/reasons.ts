/** Why TikTok says what it says: the row of the evidence that decided, found by the words of the answer. Its tests let no answer go without. */
import { type Evidence, evidenceOfBehaviours, evidenceOfSettings } from './evidence.ts'
import type { Settings } from './settings.ts'
import type { Request } from './wire.ts'

type Behaviour = keyof typeof evidenceOfBehaviours
export type Rule = Behaviour | `setting ${keyof Settings}`

/** What an answer says of itself. */
export interface Said {
  /** ok, or TikTok's word for what is wrong. */
  readonly code: string
  readonly message: string
}

export function evidenceOf(rule: Rule): Evidence {
  const [, setting] = /^setting (.*)/.exec(rule) ?? []
  return setting === undefined ? evidenceOfBehaviours[rule as Behaviour] : evidenceOfSettings[setting as keyof Settings]
}

/** By path, the first that fits: what decides that TikTok agrees. */
const routes: readonly [path: RegExp, rule: Rule][] = [
  [/^\/v2\/auth\/authorize/, 'consent'],
  [/^\/v2\/oauth\/revoke\//, 'notices are signed'],
  [/^\/v2\/oauth\//, 'token answers are flat'],
  [/^\/v2\/user\/info\//, 'fields need their scopes'],
  [/^\/v2\/video\//, 'lists of videos'],
  [/^\/v2\/post\/publish\/creator_info\//, 'creator info says no with a 200'],
  [/^\/v2\/post\/publish\/content\//, 'photos'],
  [/^\/v2\/post\/publish\/(inbox\/)?video\//, 'chunks of a video'],
  [/^\/v2\/post\/publish\//, 'life of a publication'],
  [/^\/video\/$/, 'chunks of a video'],
  [/^\/avatars\//, 'setting avatar_seconds'],
]

/** By the word for what is wrong, and where that is not enough by path and sentence or by the request: the first that fits. */
const failures: readonly [code: RegExp, where: RegExp | ((request: Request) => boolean), rule: Rule][] = [
  [/^not_found$/, /./, 'not simulated'],
  [/^not_simulated$/, /./, 'not simulated'],
  [/^unsupported_path$/, /./, 'wrong method or slash'],

  [/^(client_key|client_secret)$/, /^\/v2\/auth\//, 'setting client_key'],
  [/^redirect_uri$/, /^\/v2\/auth\//, 'setting redirect_uris'],
  [/^scope$/, /^\/v2\/auth\//, 'errCode 10004 for a scope'],
  [/^invalid_scope$/, /^\/v2\/auth\//, 'setting scope_refusal'],
  [/^state$/, /^\/v2\/auth\//, 'setting require_state'],
  [/^code_challenge/, /^\/v2\/auth\//, 'setting pkce'],
  [/^non_sandbox_target$/, /^\/v2\/auth\//, 'setting sandbox_targets'],
  [/^access_denied$/, /may not use/, 'a person who may not connect'],
  [/^access_denied$/, /./, 'consent'],
  [/./, /^\/v2\/auth\//, 'the page for a wrong request'],

  [/^invalid_client$/, /./, 'setting client_secret'],
  [/^invalid_grant$/, /code is expired/, 'life of a code'],
  [/^invalid_grant$/, /Refresh token/, 'setting rotation'],
  [/./, /The token is invalid or expired/, 'setting revoke_dead_token'],
  [/^invalid_request$/, /Redirect_uri/, 'setting redirect_uris'],
  [/^invalid_request$/, /Code verifier/, 'setting pkce'],
  [/^invalid_request$/, isPlainFormWithoutGrant, 'no grant_type'],
  [/^invalid_request$/, /malformed/, 'only a plain form'],
  [/./, /^\/v2\/oauth\//, 'token answers are flat'],

  [/^rate_limit_exceeded$/, /^\/v2\/user\//, 'setting user_info_per_minute'],
  [/^rate_limit_exceeded$/, /^\/v2\/video\//, 'setting videos_per_minute'],
  [/^rate_limit_exceeded$/, /creator_info/, 'setting creator_info_per_minute'],
  [/^rate_limit_exceeded$/, /status/, 'setting status_per_minute'],
  [/^rate_limit_exceeded$/, /./, 'setting init_per_minute'],
  [/^spam_risk_too_many_pending_share$/, /./, 'setting pending_shares_per_day'],
  [/^spam_risk_too_many_posts$/, /./, 'setting posts_per_day'],
  [/^reached_active_user_cap$/, /./, 'setting active_users_per_day'],
  [/^unaudited_client/, /./, 'setting audit'],
  [/^url_ownership_unverified$/, /./, 'setting verified_urls'],
  [/^access_token_invalid$/, /./, 'API answers are an envelope'],
  [/./, /This field is not available/, 'setting refused_fields'],
  [/./, /chunk size/, 'a single chunk is the whole video'],
  [/^invalid_params$/, /^\/v2\/post\//, 'posting says invalid_params'],
  [/^(invalid_params|scope_not_authorized|scope_permission_missed)$/, /^\/v2\/user\/info\//, 'fields need their scopes'],
  [/^(invalid_params|scope_not_authorized)$/, /^\/v2\/video\//, 'lists of videos'],
  [/^(scope_not_authorized|privacy_level_option_mismatch)$/, /^\/v2\/post\//, 'order of refusals'],
  [/^spam_risk_user_banned_from_posting$/, /./, 'creator info says no with a 200'],
  [/publish_id$|^publish_not_cancellable$/, /^\/v2\/post\//, 'life of a publication'],
  [/^403$/, /^\/avatars\//, 'setting avatar_seconds'],
  [/^400$/, /^\/video\//, 'a PUT without a Content-Range'],
  [/^40[34]$/, /^\/video\//, 'chunks of a video'],
  [/^416$/, ({ headers }) => headers['content-range'] === undefined, 'a PUT without a Content-Range'],
  [/^416$/, /./, 'a chunk of another size'],
]

/** @returns undefined for an answer that nothing here explains, which is a mistake of this file */
export function ruleFor(request: Request, { code, message }: Said): Rule | undefined {
  if (code === 'ok') return routes.find(([path]) => path.test(request.path))?.[1]
  const fits = (where: (typeof failures)[number][1]) =>
    typeof where === 'function' ? where(request) : where.test(`${request.path} ${message}`)
  return failures.find(([word, where]) => word.test(code) && fits(where))?.[2]
}

function isPlainFormWithoutGrant({ path, headers, body }: Request): boolean {
  const { 'content-type': type, authorization } = headers
  const isForm = type === 'application/x-www-form-urlencoded' && authorization === undefined
  return path === '/v2/oauth/token/' && isForm && !new URLSearchParams(body.toString()).get('grant_type')
}
