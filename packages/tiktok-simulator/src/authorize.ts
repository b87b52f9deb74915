/** The authorize page: a good request is shown to the person, and their decision takes the browser back to the app. */
import { z } from 'zod'
import { type AuthorizationRequest, checkAuthorizationRequest, type ParameterError } from './authorization-request.ts'
import { consentPage, errorPage } from './consent-page.ts'
import type { Person } from './person.ts'
import { type Answer, html, type Request, redirect } from './wire.ts'
import type { World } from './world.ts'

/** A person's answer on the consent page. */
export interface Decision {
  readonly person: Person
  readonly declined: readonly string[]
  readonly denied: boolean
}

/** The same answer, given by a script: `POST /_sim/authorize`. */
export const ScriptedDecision = z.strictObject({
  authorize_url: z.string().describe('What the app would send the browser to'),
  person: z.string().describe('The id or open_id of who decides'),
  decline: z.array(z.string()).optional().describe('Scopes that they untick'),
  deny: z.boolean().optional().describe('Whether they say no to all of it'),
})
export type ScriptedDecision = z.infer<typeof ScriptedDecision>

const sessionCookie = 'tiktok_simulator_session'

export function showConsent(world: World, request: Request): Answer {
  const checked = checkAuthorizationRequest(world, request.query)
  if ('errorType' in checked) return refusal(checked)
  const signedIn = personSignedIn(world, request)
  const known = checked.disableAutoAuth ? undefined : rememberedDecision(world, signedIn, checked)
  if (known) return redirect(302, decide(world, checked, known))
  return html(200, consentPage(world, checked, request.query.toString(), signedIn))
}

export function takeConsent(world: World, request: Request): Answer {
  const checked = checkAuthorizationRequest(world, request.query)
  if ('errorType' in checked) return refusal(checked)
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
  if (!URL.canParse(script.authorize_url)) return { errorType: 'authorize_url', errCode: undefined }
  const url = new URL(script.authorize_url)
  const checked = checkAuthorizationRequest(world, url.searchParams)
  if ('errorType' in checked) return checked.callback ? { redirect_to: refusedCallback(checked.callback, checked) } : checked
  const person = world.people.findByEither(script.person)
  if (!person) return { errorType: 'person', errCode: undefined }
  if (!isTarget(world, person)) return { errorType: 'non_sandbox_target', errCode: undefined }
  return { redirect_to: decide(world, checked, { person, declined: script.decline ?? [], denied: script.deny ?? false }) }
}

function refusal(wrong: ParameterError): Answer {
  return wrong.callback ? redirect(302, refusedCallback(wrong.callback, wrong)) : html(400, errorPage(wrong))
}

function refusedCallback(
  back: { redirectUri: string; state: string | undefined },
  { errorType, errCode }: ParameterError,
): string {
  return callbackUrl(back, { error: 'invalid_scope', errCode: String(errCode), error_type: errorType })
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

function callbackUrl(
  { redirectUri, state }: Pick<AuthorizationRequest, 'redirectUri' | 'state'>,
  parameters: Record<string, string>,
): string {
  const query = Object.entries({ ...parameters, ...(state !== undefined && { state }) }).map(
    ([name, value]) => `${name}=${percentEncoded(value)}`,
  )
  // As a header can hold it.
  const back = redirectUri.replace(/[^\u{21}-\u{7e}]/gu, encodeURIComponent)
  return `${back}${back.includes('?') ? '&' : '?'}${query.join('&')}`
}

/** TikTok encodes the star and the exclamation mark of its codes as well. */
function percentEncoded(value: string): string {
  return encodeURIComponent(value).replaceAll('*', '%2A').replaceAll('!', '%21')
}
