// What all pages share: escaping templates, no script, no third-party content, and headers that keep the page private.
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ServiceError } from '../errors.ts'
import type { Config } from '../settings/config.ts'
import type { Brand } from './brand.ts'
import { style } from './style.ts'
import { failureInWords, texts } from './words.ts'

/** Text that is already HTML. Only `html` creates it. */
export interface Html {
  readonly markup: string
}

type Hole = string | number | Html | readonly Html[]

/** A template that escapes its values unless they are Html themselves. */
export function html(pieces: TemplateStringsArray, ...values: Hole[]): Html {
  let markup = pieces[0] ?? ''
  values.forEach((value, index) => {
    markup += render(value) + (pieces[index + 1] ?? '')
  })
  return { markup }
}

export const nothing: Html = { markup: '' }

const styleElement = (css: string): Html => ({ markup: `<style>${css}</style>` })
const sourceOf = (css: string) => `'sha256-${createHash('sha256').update(css).digest('base64')}'`
const styleSource = sourceOf(style)

/** A whole page, and the style it may have. */
export interface Page extends Html {
  styleSources: readonly string[]
}

/**
 * A whole page.
 *
 * @param options.brand whose it is
 * @param options.wide room for two columns
 * @param options.back where the person came from
 */
export function page(
  title: string,
  {
    brand,
    header,
    content,
    wide = false,
    back,
  }: { brand: Brand; header?: Html; content: Html; wide?: boolean; back?: Back | undefined },
): Page {
  const { frame } = texts
  const top = [brandBar(brand), header].filter((part) => part !== undefined)
  const { markup } = html`<!doctype html>
<html lang="${texts.lang}" dir="${texts.dir}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="robots" content="noindex"><title>${brand.name === null ? title : `${title} · ${brand.name}`}</title>${styleElement(style)}${brand.style === '' ? nothing : styleElement(brand.style)}</head>
<body>
<a class="skip unseen" href="#content">${frame.skip}</a>
<div class="wrap${wide ? ' wide' : ''}">
${top.length === 0 ? nothing : html`<header>${top}</header>`}
<main id="content" tabindex="-1">${content}</main>
<footer class="quiet">${back ? html`<p><a href="${back.url}">${frame.back(back.host)}</a></p>` : nothing}${links(brand)}<p>${frame.independent}</p></footer>
</div>
</body>
</html>
`
  return { markup, styleSources: brand.style === '' ? [styleSource] : [styleSource, sourceOf(brand.style)] }
}

function brandBar({ name, logo }: Brand): Html | undefined {
  if (name === null && logo === null) return undefined
  const picture = logo === null ? nothing : html`<img src="${logo}" alt="" height="36">`
  return html`<div class="brand">${picture}${name === null ? nothing : html`<bdi>${name}</bdi>`}</div>`
}

/** On every page, visible without a menu, as TikTok's review asks. */
function links({ privacyUrl, termsUrl, supportUrl }: Brand): Html {
  const { privacy, terms, support } = texts.frame
  const all = [
    [privacyUrl, privacy],
    [termsUrl, terms],
    [supportUrl, support],
  ] as const
  const shown = all.flatMap(([url, words]) => (url === null ? [] : [html`<a href="${url}">${words}</a>`]))
  return shown.length === 0 ? nothing : html`<p>${shown}</p>`
}

export interface Back {
  url: string
  host: string
}

export const backTo = (url: string): Back => ({ url, host: new URL(url).host })

/**
 * Says what went wrong and what to do next, in words for people; the failure's `detail` is for callers.
 *
 * @param options.again where the person can go on here; otherwise they go back to where they came from, if the failure knows
 */
export function failurePage(
  failure: ServiceError,
  { brand, requestId, again }: { brand: Brand; requestId: string; again?: string | undefined },
): Page {
  const back = failure.back === undefined ? undefined : backTo(failure.back)
  const goBack = back && { url: back.url, words: texts.frame.back(back.host) }
  return messagePage(failureInWords(failure.code), {
    brand,
    tone: 'bad',
    way: again === undefined ? goBack : { url: again, words: texts.frame.again },
    back: again === undefined ? undefined : back,
    reference: texts.frame.reference(failure.code, requestId),
  })
}

/** A page with a single message. */
export function messagePage(
  said: { title: string; text: string },
  {
    brand,
    tone,
    way,
    back,
    reference,
  }: {
    brand: Brand
    tone: 'good' | 'bad'
    way?: { url: string; words: string } | undefined
    back?: Back | undefined
    reference?: string
  },
): Page {
  const content = html`<section class="panel" ${tone === 'bad' ? html`role="alert"` : html`role="status"`}>
<h1>${said.title}</h1>
<p>${said.text}</p>
${way ? html`<div class="actions"><a class="button primary" href="${way.url}">${way.words}</a></div>` : nothing}
${reference === undefined ? nothing : html`<p class="quiet small">${reference}</p>`}
</section>`
  return page(said.title, { brand, content, back })
}

export interface PageDeps {
  config: Pick<Config, 'secureCookies' | 'brand'> & { tiktok: Pick<Config['tiktok'], 'authBaseUrl'> }
}

/**
 * Sends a page with the headers that keep it private (S11).
 *
 * @param formOrigins where the redirects after its forms may lead, besides TikTok
 */
export function sendPage(deps: PageDeps, reply: FastifyReply, content: Page, formOrigins: readonly string[] = []): FastifyReply {
  return withBrowserHeaders(deps, reply, { formOrigins, styleSources: content.styleSources })
    .type('text/html; charset=utf-8')
    .serializer(String)
    .send(content.markup)
}

/** 303, so that a browser never repeats the POST (S12). */
export function redirect(deps: PageDeps, reply: FastifyReply, location: string): FastifyReply {
  return withBrowserHeaders(deps, reply)
    .code(303)
    .header('location', location)
    .serializer(() => '')
    .send(null)
}

/**
 * A prefetch changes nothing (S14): no state is made or used up, no cookie set. After a 503 the browser asks again when the person
 * really comes; a 204 or a page it would show them.
 */
export function refusePrefetch(app: FastifyInstance, deps: PageDeps): void {
  app.addHook('onRequest', async ({ headers }, reply) => {
    const purposes = [headers['sec-purpose'], headers.purpose, headers['x-purpose'], headers['x-moz']].join()
    if (!/prefetch|prerender|preview|instant/i.test(purposes)) return
    reply.header('retry-after', '1').header('vary', 'Sec-Purpose, Purpose, X-Purpose, X-Moz')
    return sendPage(deps, reply.code(503), { ...nothing, styleSources: [] })
  })
}

/** Also for redirects, because their addresses carry secrets. */
function withBrowserHeaders(
  { config }: PageDeps,
  reply: FastifyReply,
  { formOrigins = [], styleSources = [] }: { formOrigins?: readonly string[]; styleSources?: readonly string[] } = {},
): FastifyReply {
  // Chromium applies form-action to redirects after a form too, and TikTok may redirect between hosts of its own.
  const { authBaseUrl } = config.tiktok
  const formTargets = ["'self'", authBaseUrl, authBaseUrl.replace(/^https:\/\/www\./, 'https://*.'), ...formOrigins]
  return reply.headers({
    'content-security-policy': `default-src 'none'; style-src ${styleSources.length === 0 ? "'none'" : styleSources.join(' ')}; img-src 'self'; form-action ${[...new Set(formTargets)].join(' ')}; base-uri 'none'; frame-ancestors 'none'`,
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'cross-origin-opener-policy': 'same-origin',
    ...(config.secureCookies ? { 'strict-transport-security': 'max-age=31536000' } : {}),
  })
}

function render(value: Hole): string {
  if (typeof value === 'object') return 'markup' in value ? value.markup : value.map(render).join('')
  return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
