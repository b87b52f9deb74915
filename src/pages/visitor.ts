// Who is on the connect page: a cookie per visit holds the pass, so that no secret stays in an address or in the history. Forms carry a
// token that proves they are ours, and of which page.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { sessionOfLink } from '../connect/connect-session.ts'
import { actInVisit, checkBrowser, formTokenOf, type Pass, type VisitDeps } from '../connect/visit.ts'
import type { ConnectSession } from '../db/connect-sessions.ts'
import { ServiceError } from '../errors.ts'
import { addressOf } from '../http/limits.ts'
import type { Refusals } from '../refusals.ts'
import type { Config } from '../settings/config.ts'
import { digest, sameDigest } from '../vault/digest.ts'
import { type CookieDeps, cookiesOf, keepCookie } from './cookies.ts'

/** The secret of a connect link, as it stands in `authorize_url` and `connect_url`. */
export const LinkSecret = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/)
  .describe("The link's secret, as it stands in `authorize_url` and `connect_url`")

export interface VisitorDeps extends VisitDeps {
  config: Pick<Config, 'publicUrl' | 'secureCookies'>
}

/** Which of the visits of this browser: stands in addresses of the page, and is no secret. */
export const VisitTag = z
  .string()
  .regex(/^[0-9a-f]{16}$/)
  .describe('Which of the pages of this browser; without it the one that was opened last')

export const visitOf = ({ linkSecret }: Pass): string => digest(`visit.${linkSecret}`).slice(0, 16)

/** Where the page of a visit is, without the secret of its link. */
export const addressOfPage = (pass: Pass): string => `/connect?visit=${visitOf(pass)}`

/** Every visit has a cookie of its own, so that two pages of one browser stay apart. The newest first. */
function passesOf(deps: CookieDeps, request: FastifyRequest): Pass[] {
  return cookiesOf(deps, request, 'visit').flatMap(({ tag, secret }) => {
    const [linkSecret = '', visitorSecret = ''] = secret.split('.')
    const pass = { linkSecret, visitorSecret }
    return visitOf(pass) === tag ? [pass] : []
  })
}

export function passOfLink(deps: CookieDeps, request: FastifyRequest, linkSecret: string): Pass | null {
  return passesOf(deps, request).find((pass) => pass.linkSecret === linkSecret) ?? null
}

/** @param lifeSeconds of its session, which the cookie outlives, so that a late click is told what happened */
export function writePass(
  deps: CookieDeps,
  visit: { request: FastifyRequest; reply: FastifyReply },
  pass: Pass,
  lifeSeconds: number,
): void {
  const { linkSecret, visitorSecret } = pass
  const cookie = { tag: visitOf(pass), secret: `${linkSecret}.${visitorSecret}`, lifeSeconds: lifeSeconds + 3000 }
  keepCookie(deps, visit, 'visit', cookie)
}

/**
 * @param visit as the address has it; without one, the page that was opened last
 * @throws ServiceError session_invalid: this browser has no such page open
 */
export function requirePass(deps: CookieDeps, request: FastifyRequest, visit: string | undefined): Pass {
  const pass = passesOf(deps, request).find((pass) => visit === undefined || visitOf(pass) === visit)
  if (!pass) throw new ServiceError('session_invalid', 'Open the link again, with cookies allowed.')
  return pass
}

/** The page that a request belongs to which has failed, whatever it looks like. On the way to TikTok and back none of several is guessed. */
export function passOfFailure(deps: CookieDeps, request: FastifyRequest): Pass | undefined {
  const said = { ...(request.query as object), ...(request.body as object | undefined) } as Record<string, unknown>
  const passes = passesOf(deps, request)
  const names = (pass: Pass) => [visitOf(pass), formTokenOf(pass), pass.linkSecret]
  const all = [said.visit, said.form_token, said.session]
  const mayBeNewest = passes.length === 1 || request.url.startsWith('/connect')
  return passes.find((pass) => names(pass).some((name) => all.includes(name))) ?? (mayBeNewest ? passes[0] : undefined)
}

/** For reading something of a session that is still open. */
export async function openSession(deps: VisitDeps, pass: Pass): Promise<ConnectSession> {
  const session = await sessionOfLink(deps, pass.linkSecret)
  checkBrowser(deps, session, pass)
  return session
}

/**
 * For a form of the page: its token says which of the pages of this browser it is from. From here on the session belongs to this browser.
 *
 * @throws ServiceError session_invalid | session_expired | browser_mismatch
 */
export async function actingSession(
  deps: VisitorDeps,
  request: FastifyRequest,
  formToken: string,
): Promise<{ session: ConnectSession; pass: Pass }> {
  refuseOtherSites(deps, request)
  requirePass(deps, request, undefined)
  const pass = passesOf(deps, request).find((pass) => sameDigest(formToken, formTokenOf(pass)))
  if (!pass) {
    noteForm(deps, request, 'form came without its token')
    throw new ServiceError('session_invalid', 'This form is not from a page that is open in this browser; open the page again.')
  }
  return { session: await actInVisit(deps, pass), pass }
}

export async function actingSessionOfLink(
  deps: VisitorDeps,
  request: FastifyRequest,
  linkSecret: string,
): Promise<ConnectSession> {
  refuseOtherSites(deps, request)
  const session = await sessionOfLink(deps, linkSecret)
  checkBrowser(deps, session, passOfLink(deps, request, linkSecret))
  return session
}

/** A second defence besides the token. Our own page sends `Origin: null`, so Sec-Fetch-Site decides. */
function refuseOtherSites(deps: VisitorDeps, request: FastifyRequest): void {
  const { publicUrl } = deps.config
  const { origin, 'sec-fetch-site': site } = request.headers
  const foreign = site === undefined ? origin !== undefined && origin !== 'null' && origin !== publicUrl : site !== 'same-origin'
  if (!foreign) return
  noteForm(deps, request, 'form came from another site')
  throw new ServiceError('session_invalid', 'Forms are taken from our own page only; open the page again.')
}

function noteForm({ refusals }: { refusals: Refusals }, request: FastifyRequest, event: string): void {
  const who = addressOf(request)
  const facts = { requestId: request.id, route: request.routeOptions.url ?? '', address: who }
  refusals.note({ kind: 'foreign_form', event, who, facts })
}
