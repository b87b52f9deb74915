/** `/_sim/inspector`: each request with what TikTok would say and why, newest first. What it shows is what `/_sim/requests` tells. */
import type { Exchange } from './exchanges.ts'
import { inspectorScript } from './inspector-script.ts'
import { maskedFields, maskedText, maskedUrl } from './masking.ts'
import { markup, page, styleSource } from './page.ts'
import { evidenceOf, ruleFor, type Said } from './reasons.ts'
import { type Answer, html, type Request } from './wire.ts'
import type { World } from './world.ts'

export function inspector(): Answer {
  return html(
    200,
    page(
      'Requests',
      markup`
<h1>What was asked, and why it was answered so</h1>
<form class="filter" id="filter">
<label>App <select id="app"><option value="">all</option></select></label>
<label>Path <input id="path" type="search" placeholder="/v2/oauth" spellcheck="false"></label>
<label class="check"><input id="wrong" type="checkbox"> only what went wrong</label>
<span class="quiet" id="state" role="status">Waiting for the first request.</span>
</form>
<form class="filter" id="door" hidden><label>Control token <input id="token" type="password" autocomplete="off"></label><button>Open</button></form>
<ol class="requests" id="requests"></ol>
<noscript><p>This page needs JavaScript; <code>/_sim/requests</code> has the same as JSON.</p></noscript>
<script type="module" src="/_sim/inspector.js"></script>`,
      'wide',
    ),
    { 'content-security-policy': contentSecurityPolicy },
  )
}

const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "connect-src 'self'",
  `style-src ${styleSource}`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export function script(): Answer {
  const headers = { 'content-type': 'text/javascript; charset=utf-8', 'cache-control': 'no-store' }
  return { status: 200, headers, body: inspectorScript }
}

/** What is new since the revision that the question names, or all there is. */
export function describeExchanges(worlds: readonly World[], query = new URLSearchParams()) {
  const path = query.get('path') ?? ''
  const app = query.get('app') ?? ''
  const told = Number(query.get('after') ?? 0)
  const anew = worlds.some(({ exchanges }) => exchanges.isOutdated(told))
  const after = anew ? 0 : told
  const described = worlds.flatMap((world) => world.exchanges.changedAfter(after).map((one) => describeExchange(world, one)))
  return {
    revision: Math.max(...worlds.map(({ exchanges }) => exchanges.revision)),
    anew,
    requests: described
      .sort((one, other) => other.id - one.id)
      .filter((one) => one.path.includes(path) && (app === '' || one.app === app)),
  }
}
export type DescribedExchange = ReturnType<typeof describeExchange>

function describeExchange(world: World, exchange: Exchange) {
  const { id, at, request, call, answer, fault, status, endedAt } = exchange
  const said = answer && whatIsSaid(answer, request)
  const rule = said && ruleFor(request, said)
  const { standing = null, known = null, source = null } = rule ? evidenceOf(rule) : {}
  return {
    id,
    at: new Date(at).toISOString(),
    method: request.method,
    path: request.path,
    query: maskedFields(request.query, '&'),
    app: appOf(world, exchange),
    person: call?.subject.person?.id ?? null,
    status: status ?? null,
    milliseconds: endedAt === undefined ? null : endedAt - at,
    tiktok_status: answer?.status ?? null,
    error: said?.code ?? null,
    message: said?.message ?? null,
    rule: rule ?? null,
    standing,
    known,
    source,
    fault: fault?.id ?? null,
    request: shownRequest(request),
    answer: answer ? shownAnswer(answer) : '',
  }
}

/** Whoever names no key is known by the token, or by the upload. */
function appOf({ settings }: World, { request, call }: Exchange): string | null {
  const { query, headers, body } = request
  const isForm = headers['content-type']?.startsWith('application/x-www-form-urlencoded')
  const named = query.get('client_key') ?? (isForm ? new URLSearchParams(body.toString()).get('client_key') : null)
  const isUpload = call?.routes.includes('chunk') && call.subject.person !== undefined
  return named ?? (isUpload || headers.authorization !== undefined ? settings.client_key : null)
}

function whatIsSaid({ status, headers, body }: Answer, { path }: Request): Said {
  const text = typeof body === 'string' ? body : ''
  if (/^\s*\{/.test(text)) {
    const { error, error_description, message } = JSON.parse(text)
    if (typeof error === 'string') return { code: error, message: String(error_description ?? '') }
    if (typeof error === 'object') return { code: String(error.code), message: String(error.message) }
    if (status >= 400) return { code: String(status), message: String(message ?? '') }
  }
  if (headers.location !== undefined) {
    const back = new URLSearchParams(headers.location.split('?')[1] ?? '')
    const error = back.get('error')
    if (error !== null) return { code: error, message: back.get('error_description') ?? '' }
  }
  if (path.startsWith('/v2/auth/') && status >= 400) {
    const [, parameter] = /error_type=(\w+)/.exec(text) ?? []
    if (parameter !== undefined) return { code: parameter, message: "TikTok's own error page; the app does not hear of it" }
  }
  if (status === 404 && text.startsWith('Unsupported path')) return { code: 'unsupported_path', message: text }
  return status >= 400 ? { code: String(status), message: '' } : { code: 'ok', message: '' }
}

function shownRequest({ headers, body, bodyBytes }: Request): string {
  const { authorization, 'content-type': type = '', 'content-range': range } = headers
  const lines = [
    ...(type ? [`content-type: ${type}`] : []),
    ...(range ? [`content-range: ${range}`] : []),
    ...(authorization ? [maskedText(authorization.replace(/^(\S+) +(?!(?:act|rft|clt)\.).*/, '$1 …'))] : []),
  ]
  if (body.length === 0) return [...lines, ...(bodyBytes > 0 ? [`${bodyBytes} bytes`] : [])].join('\n')
  const isForm = type.startsWith('application/x-www-form-urlencoded')
  const text = body.toString()
  return [...lines, '', isForm ? maskedFields(new URLSearchParams(text), '\n') : maskedText(text)].join('\n')
}

function shownAnswer({ headers, body }: Answer): string {
  const { 'content-type': type = '', location } = headers
  if (location !== undefined) return `location: ${maskedUrl(location)}`
  if (typeof body !== 'string' || body === '') return type
  return type.startsWith('text/html') ? 'a page' : maskedText(body)
}
