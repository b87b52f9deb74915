// What each failure code means: the page that a problem's `type` points to, and the same as docs/problems.md.
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { failureCodes, failures, type MendedBy } from '../failures.ts'
import { answerAs, pagesOf } from '../http/openapi.ts'
import { brandOf } from './brand.ts'
import { html, type Page, type PageDeps, page, type Setting, sendPage } from './page.ts'
import { tongueOf } from './tongue.ts'

const whoMends: Record<MendedBy, string> = {
  caller: 'you, by changing the request',
  user: 'the person, by connecting again at TikTok or choosing differently',
  time: 'waiting; `Retry-After` says how long',
  operator: 'an operator',
}

// It takes nothing, so nothing can be wrong with what it is sent.
const { 400: _, ...failed } = pagesOf([])

export const problemRoutes: FastifyPluginAsyncZod<PageDeps> = async (app, deps) => {
  let problemsPage: Page | undefined
  app.get(
    '/docs/problems',
    {
      config: { public: true, page: true },
      schema: {
        tags: ['browser'],
        operationId: 'listProblems',
        summary: 'What each failure code means, and what to do',
        description: 'Where the `type` of a problem points to.',
        response: { 200: answerAs('A page', 'text/html'), ...failed },
      },
    },
    async (_request, reply) => {
      // For those who write programs, and in English like the problems themselves.
      problemsPage ??= problemsPageOf({ brand: brandOf(deps.config, null), tongue: await tongueOf('en') })
      return sendPage(deps, reply, problemsPage)
    },
  )
}

/** @returns the text of `docs/problems.md` */
export function problemsFile(): string {
  const rows = failureCodes.map((code) => {
    const { status, mendedBy, title, remedy } = failures[code]
    return `| <a id="${code}"></a>\`${code}\` | ${status} | ${mendedBy} | ${title}. ${remedy} |`
  })
  return `# Problems

Every failure is \`application/problem+json\` (RFC 9457): \`{type, title, status, detail, code, mended_by, request_id}\`. Branch on \`code\`, show
\`detail\` to people, quote \`request_id\` when you ask for help; \`type\` is \`PUBLIC_URL/docs/problems#CODE\`, which is this page on a running service.
429 and 503 carry \`Retry-After\`. \`mended_by\`: ${Object.entries(whoMends)
    .map(([who, sentence]) => `**${who}** ${sentence}`)
    .join('; ')}.

Generated from \`src/failures.ts\` by \`npm run docs\`.

| code | status | mended by | meaning and next step |
|---|---|---|---|
${rows.join('\n')}
`
}

/** Our sentences mark code as Markdown does; a page has an element for it. */
const inCode = (sentence: string) =>
  sentence.split('`').map((part, index) => (index % 2 === 0 ? html`${part}` : html`<code>${part}</code>`))

const problemsPageOf = (setting: Setting) =>
  page('Problems', setting, {
    wide: true,
    header: html`<h1>Problems</h1><p class="quiet">Every failure code of this service, and what to do next.</p>`,
    content: html`<nav class="panel" aria-label="Index"><p>${failureCodes.map((code) => html`<a href="#${code}">${code}</a> `)}</p></nav>
${failureCodes.map((code) => {
  const { status, mendedBy, title, remedy } = failures[code]
  return html`<section class="panel" id="${code}"><h2><code>${code}</code></h2>
<p>${title}. ${inCode(remedy)}</p><p class="quiet small">Status ${status}; mended by ${mendedBy}: ${inCode(whoMends[mendedBy])}.</p></section>`
})}`,
  })
