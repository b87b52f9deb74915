// What all pages share: escaping templates, no script, no third-party content, and headers that keep the page private.
import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ServiceError } from '../errors.ts'
import type { Config } from '../settings/config.ts'
import type { Brand } from './brand.ts'
import { type Language, languageCodes, languages } from './languages.ts'
import { style } from './style.ts'
import type { Tongue } from './tongue.ts'
import { failureInWords, type Words } from './words.ts'

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

/** A whole page, its language, and the style it may have. */
export interface Page extends Html {
  language: Language
  styleSources: readonly string[]
}

/** What every page has around it. */
export interface Setting {
  /** whose page it is */
  brand: Brand
  tongue: Tongue
  /** its own path and query, where it can be asked for again in another language */
  here?: string | undefined
}

/** The same in other languages, where asking again would not say the same: a form is not sent twice, and what was sent is not echoed. */
const inOtherLanguages = (tongues: readonly Tongue[], words: (tongue: Tongue) => Words): Html => {
  const items = tongues.map((tongue) => {
    const { language, dir } = tongue
    const { title, text } = words(tongue)
    return html`<li><details name="language"><summary lang="${language}" class="link">${languages[language]}</summary><div lang="${language}" dir="${dir}"><h2>${title}</h2><p>${text}</p></div></details></li>`
  })
  return html`<ul class="languages">${items}</ul>`
}

/**
 * A whole page.
 *
 * @param options.wide room for two columns
 * @param options.back where the person came from
 */
export function page(
  title: string,
  { brand, tongue, here }: Setting,
  {
    header,
    content,
    wide = false,
    back,
    translations = nothing,
  }: { header?: Html; content: Html; wide?: boolean; back?: Back | undefined; translations?: Html },
): Page {
  const { language, dir, say } = tongue
  const top = [brandBar(brand), header].filter((part) => part !== undefined)
  const { markup } = html`<!doctype html>
<html lang="${language}" dir="${dir}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="robots" content="noindex"><title>${brand.name === null ? title : `${title} · ${brand.name}`}</title>${styleElement(style)}${brand.style === '' ? nothing : styleElement(brand.style)}</head>
<body>
<a class="skip unseen" href="#content">${say('frame.skip')}</a>
<div class="wrap${wide ? ' wide' : ''}">
${top.length === 0 ? nothing : html`<header>${top}</header>`}
<main id="content" tabindex="-1">${content}</main>
<footer class="quiet">${back ? html`<p><a href="${back.url}">${say('frame.back', { host: back.host })}</a></p>` : nothing}${links(brand, tongue)}<p>${say('frame.independent')}</p>${here === undefined ? translations : languageLinks(tongue, here)}</footer>
</div>
</body>
</html>
`
  return { markup, language, styleSources: brand.style === '' ? [styleSource] : [styleSource, sourceOf(brand.style)] }
}

function brandBar({ name, logo }: Brand): Html | undefined {
  if (name === null && logo === null) return undefined
  const picture = logo === null ? nothing : html`<img src="${logo}" alt="" height="36">`
  return html`<div class="brand">${picture}${name === null ? nothing : html`<bdi>${name}</bdi>`}</div>`
}

/** On every page, visible without a menu, as TikTok's review asks. */
function links({ privacyUrl, termsUrl, supportUrl }: Brand, { say }: Tongue): Html {
  const all = [
    [privacyUrl, say('frame.privacy')],
    [termsUrl, say('frame.terms')],
    [supportUrl, say('frame.support')],
  ] as const
  const shown = all.flatMap(([url, words]) => (url === null ? [] : [html`<a href="${url}">${words}</a>`]))
  return shown.length === 0 ? nothing : html`<p>${shown}</p>`
}

/** Each language by its own name, which those who look for it can read. */
function languageLinks({ language: present, say }: Tongue, here: string): Html {
  const items = languageCodes.map((language) =>
    language === present
      ? html`<li><span lang="${language}" aria-current="true">${languages[language]}</span></li>`
      : html`<li><a href="${inLanguage(here, language)}" lang="${language}" hreflang="${language}">${languages[language]}</a></li>`,
  )
  return html`<nav aria-label="${say('frame.language')}"><ul class="languages">${items}</ul></nav>`
}

function inLanguage(here: string, language: Language): string {
  const [path, query] = here.split('?')
  const parameters = new URLSearchParams(query)
  parameters.set('lang', language)
  return `${path}?${parameters}`
}

export interface Back {
  url: string
  host: string
}

export const backTo = (url: string): Back => ({ url, host: new URL(url).host })

/**
 * Says what went wrong and what to do next, in words for people; the failure's `detail` is for callers.
 *
 * @param options.others the languages in which the same is said at its foot
 * @param options.again where the person can go on here; otherwise they go back to where they came from, if the failure knows
 */
export function failurePage(
  failure: ServiceError,
  setting: Setting,
  { requestId, again, others = [] }: { requestId: string; again?: string | undefined; others?: readonly Tongue[] },
): Page {
  const { say } = setting.tongue
  const back = failure.back === undefined ? undefined : backTo(failure.back)
  const goBack = back && { url: back.url, words: say('frame.back', { host: back.host }) }
  return messagePage(failureInWords(setting.tongue, failure.code), setting, {
    tone: 'bad',
    way: again === undefined ? goBack : { url: again, words: say('frame.again') },
    back: again === undefined ? undefined : back,
    reference: say('frame.reference', { code: failure.code, request: requestId }),
    translations: others.length === 0 ? nothing : inOtherLanguages(others, (tongue) => failureInWords(tongue, failure.code)),
  })
}

/** A page with a single message. */
export function messagePage(
  said: Words,
  setting: Setting,
  {
    tone,
    way,
    back,
    reference,
    translations = nothing,
  }: {
    tone: 'good' | 'bad'
    way?: { url: string; words: string } | undefined
    back?: Back | undefined
    reference?: string
    translations?: Html
  },
): Page {
  const content = html`<section class="panel" ${tone === 'bad' ? html`role="alert"` : html`role="status"`}>
<h1>${said.title}</h1>
<p>${said.text}</p>
${way ? html`<div class="actions"><a class="button primary" href="${way.url}">${way.words}</a></div>` : nothing}
${reference === undefined ? nothing : html`<p class="quiet small">${reference}</p>`}
</section>`
  return page(said.title, setting, { content, back, translations })
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
    .headers({ 'content-language': content.language, vary: 'Accept-Language, Cookie' })
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
    reply.code(503).headers({ 'retry-after': '1', vary: 'Sec-Purpose, Purpose, X-Purpose, X-Moz' })
    return withBrowserHeaders(deps, reply).type('text/html; charset=utf-8').serializer(String).send('')
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
