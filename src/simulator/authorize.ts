/**
 * The authorization request: checked as TikTok checks it, shown to the person, answered by a redirect to the app.
 * A request that is wrong ends on TikTok's own error page, and the app never hears of it.
 */
import { z } from 'zod'
import { consentPage, errorPage } from './consent-page.ts'
import type { Person } from './people.ts'
import { type Answer, html, type Request, redirect } from './wire.ts'
import type { World } from './world.ts'

export interface AuthorizationRequest {
  readonly redirectUri: string
  readonly state: string
  readonly scopes: readonly string[]
  readonly codeChallenge: string | undefined
  readonly disableAutoAuth: boolean
}

/** What TikTok's error page says: the parameter to correct, and a number where one has been seen. */
export interface ParameterError {
  readonly errorType: string
  readonly errCode: number | undefined
}

/** A person's answer on the consent page. */
export interface Decision {
  readonly person: Person
  readonly declined: readonly string[]
  readonly denied: boolean
}

/** The same answer, given by a script: `POST /_sim/authorize`. */
export const ScriptedDecision = z.strictObject({
  authorize_url: z.string(),
  person: z.string(),
  decline: z.array(z.string()).optional(),
  deny: z.boolean().optional(),
})
export type ScriptedDecision = z.infer<typeof ScriptedDecision>

const sessionCookie = 'tiktok_simulator_session'

export function showConsent(world: World, request: Request): Answer {
  const checked = checkAuthorizationRequest(world, request.query)
  if ('errorType' in checked) return html(400, errorPage(checked))
  const signedIn = personSignedIn(world, request)
  const known = checked.disableAutoAuth ? undefined : rememberedDecision(world, signedIn, checked)
  if (known) return redirect(302, decide(world, checked, known))
  return html(200, consentPage(world, checked, request.query.toString(), signedIn))
}

export function takeConsent(world: World, request: Request): Answer {
  const checked = checkAuthorizationRequest(world, request.query)
  if ('errorType' in checked) return html(400, errorPage(checked))
  const form = new URLSearchParams(request.body.toString())
  const person = world.people.find(form.get('person') ?? '')
  if (!person) return html(400, errorPage({ errorType: 'person', errCode: undefined }))

  if (!isTarget(world, person)) return html(400, errorPage({ errorType: 'non_sandbox_target', errCode: undefined }))

  // A page sends the boxes that stayed ticked; a script names what it declines, and need not know the scopes.
  const ticked = form.getAll('allow')
  const declined = form.has('boxes')
    ? checked.scopes.filter((scope) => !ticked.includes(scope))
    : (form.get('decline') ?? '').split(',')
  const denied = form.get('decision') === 'deny'
  const cookie = `${sessionCookie}=${person.id}; Path=/v2/auth/; HttpOnly; SameSite=Lax`
  return redirect(303, decide(world, checked, { person, declined, denied }), denied ? {} : { 'set-cookie': cookie })
}

/** @returns where the browser would be sent, or why it would see an error page instead */
export function decideByScript(world: World, script: ScriptedDecision): { redirect_to: string } | ParameterError {
  const url = URL.parse(script.authorize_url)
  if (!url) return { errorType: 'authorize_url', errCode: undefined }
  const checked = checkAuthorizationRequest(world, url.searchParams)
  if ('errorType' in checked) return checked
  const person = world.people.find(script.person) ?? world.people.findByOpenId(script.person)
  if (!person) return { errorType: 'person', errCode: undefined }
  if (!isTarget(world, person)) return { errorType: 'non_sandbox_target', errCode: undefined }
  return { redirect_to: decide(world, checked, { person, declined: script.decline ?? [], denied: script.deny ?? false }) }
}

export function checkAuthorizationRequest(world: World, query: URLSearchParams): AuthorizationRequest | ParameterError {
  const { settings } = world
  const only = (name: string) => (query.getAll(name).length === 1 ? (query.get(name) ?? '') : '')
  const wrong = (errorType: string, errCode?: number): ParameterError => ({ errorType, errCode })

  if (only('client_key') !== settings.client_key) return wrong('client_key', 10003)
  if (only('response_type') !== 'code') return wrong('response_type')
  const redirectUri = only('redirect_uri')
  if (!redirectUriAllowed(settings.redirect_uris, redirectUri)) return wrong('redirect_uri', 10006)
  const scopes = [...new Set(only('scope').split(','))]
  const enabled: readonly string[] = settings.app_scopes
  if (!scopes.every((scope) => enabled.includes(scope))) return wrong('scope', 10004)
  if (only('state') === '') return wrong('state')

  const codeChallenge = query.has('code_challenge') ? only('code_challenge') : undefined
  if (codeChallenge === '' || (codeChallenge === undefined && settings.pkce !== 'off')) return wrong('code_challenge', 10007)
  const challengeMethod = query.get('code_challenge_method')
  if ((codeChallenge !== undefined || challengeMethod !== null) && challengeMethod !== 'S256') {
    return wrong('code_challenge_method', 10008)
  }
  return { redirectUri, state: only('state'), scopes, codeChallenge, disableAutoAuth: query.get('disable_auto_auth') === '1' }
}

function decide(world: World, request: AuthorizationRequest, { person, declined, denied }: Decision): string {
  const back = (parameters: Record<string, string>) => callbackUrl(request, parameters)
  if (denied) return back({ error: 'access_denied', error_description: 'User declined the authorization' })
  if (!person.mayConnect) {
    return back({ error: 'access_denied', error_description: 'This user may not use third-party authorization' })
  }
  const scopes = request.scopes.filter((scope) => scope === 'user.info.basic' || !declined.includes(scope))
  const { redirectUri, codeChallenge } = request
  const code = world.codes.issue({ person, asked: request.scopes, scopes, redirectUri, codeChallenge })
  return back({ code, scopes: scopes.join(',') })
}

/** Somebody signed in who has been asked all this before is not asked again; that is TikTok's default. */
function rememberedDecision(world: World, person: Person | undefined, asked: AuthorizationRequest): Decision | undefined {
  const grant = person && world.grants.ofPerson(person).at(-1)
  if (!grant || !asked.scopes.every((scope) => grant.asked.includes(scope))) return undefined
  return { person, declined: asked.scopes.filter((scope) => !grant.scopes.includes(scope)), denied: false }
}

function isTarget({ settings }: World, { id }: Person): boolean {
  return settings.sandbox_targets?.includes(id) ?? true
}

function personSignedIn(world: World, { headers }: Request): Person | undefined {
  const [, id] = new RegExp(`(?:^|; )${sessionCookie}=([^;]+)`).exec(headers.cookie ?? '') ?? []
  return world.people.find(id ?? '')
}

/** Registered URIs are compared byte by byte; without a list anything goes that could have been registered, http included. */
function redirectUriAllowed(registered: readonly string[] | null, redirectUri: string): boolean {
  if (registered) return registered.includes(redirectUri)
  const url = URL.parse(redirectUri)
  return (url?.protocol === 'https:' || url?.protocol === 'http:') && redirectUri.length < 512 && !/[?#]/.test(redirectUri)
}

function callbackUrl({ redirectUri, state }: AuthorizationRequest, parameters: Record<string, string>): string {
  const query = Object.entries({ ...parameters, state }).map(([name, value]) => `${name}=${percentEncoded(value)}`)
  return `${redirectUri}${redirectUri.includes('?') ? '&' : '?'}${query.join('&')}`
}

/** TikTok encodes the star and the exclamation mark of its codes as well. */
function percentEncoded(value: string): string {
  return encodeURIComponent(value).replaceAll('*', '%2A').replaceAll('!', '%21')
}
