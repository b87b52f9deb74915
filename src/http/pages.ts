// The few pages people see here: server-rendered, no script, nothing from anybody else. Everything put into them is escaped.
import { createHash } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import type { ServiceError } from '../errors.ts'
import { failures } from '../errors.ts'
import type { Parts } from '../parts.ts'

/** Text that is HTML already. Only `html` makes it. */
export interface Html {
  readonly markup: string
}

/** A template whose holes are escaped, unless they are Html themselves. */
export function html(pieces: TemplateStringsArray, ...values: (string | number | Html | Html[])[]): Html {
  let markup = pieces[0] ?? ''
  values.forEach((value, index) => {
    markup += (Array.isArray(value) ? value.map(render).join('') : render(value)) + (pieces[index + 1] ?? '')
  })
  return { markup }
}

function render(value: string | number | Html): string {
  return typeof value === 'object'
    ? value.markup
    : String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

const style = `
:root { color-scheme: light dark; --ground: #f6f5f2; --card: #fff; --ink: #1c1b1a; --quiet: #5f5b55; --line: #d9d5cd; --accent: #0b57d0; --on-accent: #fff; --bad: #a4262c }
@media (prefers-color-scheme: dark) { :root { --ground: #161615; --card: #21201f; --ink: #f1efeb; --quiet: #b3aea6; --line: #3b3936; --accent: #a8c7fa; --on-accent: #062e6f; --bad: #f2b8b5 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 34rem; margin: 0 auto; padding: 2rem 1rem }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .75rem }
section, fieldset { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem; margin: 0 0 1rem }
legend { font-weight: 600; padding: 0 .35rem }
label { display: flex; gap: .6rem; align-items: flex-start; padding: .35rem 0 }
input { width: 1.15rem; height: 1.15rem; margin: .2rem 0 0; accent-color: var(--accent) }
button { font: inherit; font-weight: 600; padding: .7rem 1.4rem; border: 0; border-radius: 2rem; background: var(--accent); color: var(--on-accent); cursor: pointer }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.quiet { color: var(--quiet); font-size: .9rem }
.bad { color: var(--bad); font-weight: 600 }
`
const styleHash = createHash('sha256').update(style).digest('base64')

/** A whole page. */
export function page(title: string, content: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><style>${{ markup: style }}</style></head>
<body><main>${content}</main></body>
</html>
`
}

/** Says what went wrong and what to do next. */
export function failurePage(failure: ServiceError, requestId: string): Html {
  const { title } = failures[failure.code]
  return page(
    title,
    html`<section role="alert"><h1>${title}</h1><p>${failure.message}</p><p class="quiet">Code ${failure.code}, request ${requestId}</p></section>`,
  )
}

/** Sends a page with everything that keeps it to itself (S11). */
export function sendPage(parts: Parts, reply: FastifyReply, content: Html): FastifyReply {
  return withBrowserHeaders(parts, reply).type('text/html; charset=utf-8').serializer(String).send(content.markup)
}

/** Also for redirects: they carry secrets in their addresses. */
export function withBrowserHeaders({ config }: Parts, reply: FastifyReply): FastifyReply {
  // Chromium holds the redirect after a form to form-action too: the way goes on to TikTok.
  const formTargets = `'self' ${config.tiktok.authBaseUrl}`
  return reply.headers({
    'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; img-src 'self'; form-action ${formTargets}; base-uri 'none'; frame-ancestors 'none'`,
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'cross-origin-opener-policy': 'same-origin',
    ...(config.secureCookies ? { 'strict-transport-security': 'max-age=31536000' } : {}),
  })
}
