/**
 * Who may use the control API and the pages. The simulator runs on a developer's machine, where any web page that is open can send requests
 * to it, and a name that somebody else owns can be made to point at it.
 */
import { isIP } from 'node:net'
import { type Answer, bearerOf, json, originOf, type Request } from './wire.ts'

/** What whoever started the simulator said of its visitors. */
export interface Door {
  readonly controlToken: string | undefined
  readonly publicUrl: string | undefined
}

/** @returns why the control API is closed to this request; undefined when it is open */
export function refusedAtControl(request: Request, { controlToken, publicUrl }: Door): Answer | undefined {
  if (request.path === '/_sim/health' && request.method === 'GET') return undefined
  // The inspector asks its visitor for the token; by itself it shows nothing.
  const isShell = request.method === 'GET' && /^\/_sim\/inspector(\.js)?$/.test(request.path)
  if (!isShell && controlToken !== undefined && bearerOf(request) !== controlToken)
    return json(401, { error: 'send the control token as Authorization: Bearer' })
  const isStranger = controlToken === undefined && !isOurName(request.headers.host, publicUrl)
  if (isStranger || isForeignPage(request)) return refused('/_sim is for tools on this machine, not for web pages')
  // Every page may send a form or plain text anywhere; JSON it may not, unless it is asked and told yes.
  const { 'content-type': type = '' } = request.headers
  if (request.body.length > 0 && !/^application\/json\s*(;|$)/i.test(type))
    return json(415, { error: 'send the body as application/json' })
  return undefined
}

/** A page of the simulator, seen or posted to: by its own name and from itself. */
export function refusedAtPage(request: Request, { publicUrl }: Door): Answer | undefined {
  if (!isOurName(request.headers.host, publicUrl)) return refused('open this page by its address, or as localhost')
  return request.method === 'POST' ? refusedForm(request) : undefined
}

export function refusedForm(request: Request): Answer | undefined {
  return isForeignPage(request) ? refused('this form belongs to a page of the simulator') : undefined
}

/** The page of another site that a browser shows. Our own forms say `Origin: null`, so where a browser tells the site, that decides. */
function isForeignPage({ headers, origin: ours }: Request): boolean {
  const { origin, 'sec-fetch-site': site } = headers
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  return origin !== undefined && origin !== originOf(headers) && origin !== ours
}

/** An address, this machine, or a name without a dot, as containers have: nobody elsewhere can own those. Or the public name we were given. */
function isOurName(host = '', publicUrl: string | undefined): boolean {
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase()
  if (publicUrl !== undefined && name === new URL(publicUrl).hostname) return true
  return isIP(name) !== 0 || /^[a-z0-9_-]+$/.test(name) || /(^|\.)localhost$/.test(name)
}

const refused = (why: string): Answer => json(403, { error: why })
