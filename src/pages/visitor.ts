// Who is on the connect page: a cookie holds the pass, so that no secret stays in an address or in the history. Forms also carry a
// token that proves they are ours.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { sessionOfLink } from '../connect/connect-session.ts'
import { actInVisit, checkBrowser, formTokenOf, type Pass, type VisitDeps } from '../connect/visit.ts'
import type { ConnectSession } from '../db/connect-sessions.ts'
import { ServiceError } from '../errors.ts'
import { addressOf } from '../http/limits.ts'
import type { Refusals } from '../refusals.ts'
import type { Config } from '../settings/config.ts'
import { sameDigest } from '../vault/digest.ts'

/** The secret of a connect link, as it stands in `authorize_url` and `connect_url`. */
export const LinkSecret = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/)
  .describe("The link's secret, as it stands in `authorize_url` and `connect_url`")

export interface VisitorDeps extends VisitDeps {
  config: Pick<Config, 'publicUrl' | 'secureCookies'>
}

type CookieDeps = { config: Pick<Config, 'secureCookies'> }

export function readPass({ config }: CookieDeps, request: FastifyRequest): Pass | null {
  const match = /^([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/.exec(request.cookies[nameFor(config)] ?? '')
  return match?.[1] && match[2] ? { linkSecret: match[1], visitorSecret: match[2] } : null
}

/** One pass per browser: opening another link replaces it, and forms of the earlier page are refused by their token. */
export function writePass({ config }: CookieDeps, reply: FastifyReply, { linkSecret, visitorSecret }: Pass): void {
  reply.setCookie(nameFor(config), `${linkSecret}.${visitorSecret}`, {
    httpOnly: true,
    secure: config.secureCookies,
    sameSite: 'lax', // with Strict the redirect that brings people here from the web app would arrive without it
    path: '/',
    // An hour, although the session ends sooner, so that a late click is told what happened.
    maxAge: 3600,
  })
}

/** @throws ServiceError session_invalid: this browser has no page open */
export function requirePass(deps: CookieDeps, request: FastifyRequest): Pass {
  const pass = readPass(deps, request)
  if (!pass) throw new ServiceError('session_invalid', 'Open the link again, with cookies allowed.')
  return pass
}

/** For reading something of a session that is still open. */
export async function openSession(deps: VisitDeps, pass: Pass): Promise<ConnectSession> {
  const session = await sessionOfLink(deps, pass.linkSecret)
  checkBrowser(deps, session, pass)
  return session
}

/**
 * For a form of the page: checks cookie, token and origin. From here on the session belongs to this browser.
 *
 * @throws ServiceError session_invalid | session_expired | browser_mismatch
 */
export async function actingSession(deps: VisitorDeps, request: FastifyRequest, formToken: string): Promise<ConnectSession> {
  refuseOtherSites(deps, request)
  const pass = requirePass(deps, request)
  if (!sameDigest(formToken, formTokenOf(pass))) {
    noteForm(deps, request, 'form came without its token')
    throw new ServiceError('session_invalid', 'This form is not from the page that is open now; open the page again.')
  }
  return actInVisit(deps, pass)
}

export async function actingSessionOfLink(
  deps: VisitorDeps,
  request: FastifyRequest,
  linkSecret: string,
): Promise<ConnectSession> {
  refuseOtherSites(deps, request)
  const session = await sessionOfLink(deps, linkSecret)
  checkBrowser(deps, session, readPass(deps, request))
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

const nameFor = ({ secureCookies }: Pick<Config, 'secureCookies'>) => (secureCookies ? '__Host-tts-connect' : 'tts-connect')
