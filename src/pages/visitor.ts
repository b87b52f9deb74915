// Who is at the connect page: the pass in a cookie, so that no secret stays in an address, a history or a screenshot; and for forms, proof that they are
// ours.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config.ts'
import { sessionOfBrowser } from '../connect/connect-session.ts'
import { actInVisit, checkBrowser, formTokenOf, type Pass } from '../connect/visit.ts'
import type { ConnectSession } from '../db/connect-sessions.ts'
import { ServiceError } from '../errors.ts'
import { addressOf } from '../http/limits.ts'
import type { Parts } from '../parts.ts'
import { sameDigest } from '../vault/digest.ts'

export function readPass({ config }: Parts, request: FastifyRequest): Pass | null {
  const match = /^([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/.exec(request.cookies[nameFor(config)] ?? '')
  return match?.[1] && match[2] ? { linkSecret: match[1], browserSecret: match[2] } : null
}

/** One pass per browser: another link opened replaces it, and forms of the page before are refused by their token. */
export function writePass({ config }: Parts, reply: FastifyReply, { linkSecret, browserSecret }: Pass): void {
  reply.setCookie(nameFor(config), `${linkSecret}.${browserSecret}`, {
    httpOnly: true,
    secure: config.secureCookies,
    sameSite: 'lax', // Strict would leave the redirect out that first brings people here from the web app
    path: '/',
    // An hour, though the session ends sooner: until then a late click is told what happened instead of "nothing here".
    maxAge: 3600,
  })
}

/** @throws ServiceError session_invalid: this browser has no page open */
export function requirePass(parts: Parts, request: FastifyRequest): Pass {
  const pass = readPass(parts, request)
  if (!pass) throw new ServiceError('session_invalid', 'Open the link again, with cookies allowed.')
  return pass
}

/** For looking at one thing of a session that is still open. */
export async function openSession(parts: Parts, pass: Pass): Promise<ConnectSession> {
  const session = await sessionOfBrowser(parts, pass.linkSecret)
  checkBrowser(parts, session, pass)
  return session
}

/**
 * For a form of the page: its cookie, its token, and no sign of another site. From here on the session is this browser's.
 *
 * @throws ServiceError session_invalid | session_expired | browser_mismatch
 */
export async function actingSession(parts: Parts, request: FastifyRequest, formToken: string): Promise<ConnectSession> {
  refuseOtherSites(parts, request)
  const pass = requirePass(parts, request)
  if (!sameDigest(formToken, formTokenOf(pass))) {
    noteForm(parts, request, 'form came without its token')
    throw new ServiceError('session_invalid', 'This form is not from the page that is open now; open the page again.')
  }
  return actInVisit(parts, pass)
}

export async function sessionOfLink(parts: Parts, request: FastifyRequest, linkSecret: string): Promise<ConnectSession> {
  refuseOtherSites(parts, request)
  const session = await sessionOfBrowser(parts, linkSecret)
  checkBrowser(parts, session, readPass(parts, request))
  return session
}

/** The second line behind the token. `Origin` is `null` from our own page, which sends no referrer; Sec-Fetch-Site tells the truth then. */
function refuseOtherSites(parts: Parts, request: FastifyRequest): void {
  const { publicUrl } = parts.config
  const { origin, 'sec-fetch-site': site } = request.headers
  const foreign = site === undefined ? origin !== undefined && origin !== 'null' && origin !== publicUrl : site !== 'same-origin'
  if (!foreign) return
  noteForm(parts, request, 'form came from another site')
  throw new ServiceError('session_invalid', 'Forms are taken from our own page only; open the page again.')
}

function noteForm({ refusals }: Parts, request: FastifyRequest, event: string): void {
  const who = addressOf(request)
  const facts = { requestId: request.id, route: request.routeOptions.url ?? '', address: who }
  refusals.note({ kind: 'foreign_form', event, who, facts })
}

const nameFor = ({ secureCookies }: Config) => (secureCookies ? '__Host-tts-connect' : 'tts-connect')
