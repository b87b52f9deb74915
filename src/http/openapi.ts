// The description of this service, made from the same schemas that validate: OpenAPI 3.1 at /openapi.json and a page at /docs.
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyContextConfig, FastifyInstance } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Problem } from '../errors.ts'
import { type FailureCode, failures } from '../failures.ts'
import { version } from '../version.ts'
import { scopesOf } from './auth.ts'
import { finish, type RouteFacts } from './document.ts'

/** Everything a guarded JSON route can answer besides its own failures. */
const guarded: FailureCode[] = [
  'validation_failed',
  'unauthenticated',
  'insufficient_scope',
  'rate_limited',
  'internal_error',
  'storage_unavailable',
  'overloaded',
  'keyring_mismatch',
  'database_rewound',
]
const withBody: FailureCode[] = ['invalid_json', 'payload_too_large', 'unsupported_media_type']

/**
 * The failures of a route as OpenAPI responses: one per status, its codes named.
 *
 * @param own the route's own codes; those every guarded route has are added
 * @param options.body any method but GET: also without a schema for it a body can come, and be refused
 */
export function failuresOf(own: readonly FailureCode[], options: { body?: boolean } = {}) {
  return responsesOf([...guarded, ...(options.body ? withBody : []), ...own])
}

export function responsesOf(codes: readonly FailureCode[]) {
  const byStatus = new Map<number, FailureCode[]>()
  for (const code of new Set(codes)) byStatus.set(failures[code].status, [...(byStatus.get(failures[code].status) ?? []), code])
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      status,
      {
        description: list.map((code) => `\`${code}\``).join(' · '),
        codes: list,
        content: { 'application/problem+json': { schema: Problem } },
      },
    ]),
  )
}

/** An answer that is not JSON: a page, a picture, a text. */
export function answerAs(description: string, ...types: [string, ...string[]]) {
  return { description, content: Object.fromEntries(types.map((type) => [type, { schema: z.any().describe(description) }])) }
}

/** The failures of a route for browsers: pages for people, each of which shows its code. */
export function pagesOf(codes: readonly FailureCode[]) {
  const failed = responsesOf([
    ...codes,
    'validation_failed',
    'rate_limited',
    'internal_error',
    'storage_unavailable',
    'overloaded',
    'keyring_mismatch',
    'database_rewound',
  ])
  return Object.fromEntries(
    Object.entries(failed).map(([status, { description }]) => [
      status,
      {
        description,
        content: { 'text/html': { schema: z.string().describe('A page that says what happened, and shows its code') } },
      },
    ]),
  )
}

/** The page's own files are for everybody: nothing in them knows a key. Has to be called before the routes are guarded. */
export function openDocs(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    if (/^\/docs(\/|$)/.test(route.url)) route.config = { ...route.config, public: true, bucket: 'docs' }
  })
}

/** Everything comes from here. Not `upgrade-insecure-requests`: a trial host that speaks http only would show an empty page. */
const docsPolicy =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

/** Our name instead of the tool's, and the colours of our other pages. */
const docsStyle = `
.swagger-ui { font-family: system-ui, sans-serif }
.swagger-ui .info { margin: 32px 0 }
.swagger-ui .info .title { font-family: inherit; font-size: 28px }
.swagger-ui .scheme-container { box-shadow: none; border-bottom: 1px solid #d8dbe0 }
.swagger-ui .opblock, .swagger-ui .btn { box-shadow: none; border-radius: 8px }
`

/** Has to be registered before the routes. */
export async function describeApi(app: FastifyInstance, shown = true): Promise<void> {
  const facts = new Map<string, RouteFacts>()
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'TikTok OAuth service',
        version,
        contact: { name: 'Whoever runs this service' },
        license: { name: 'Proprietary', identifier: 'LicenseRef-Proprietary' },
        description:
          'Owns TikTok credentials end to end. The web app opens connect sessions and shows accounts, the upload service fetches access tokens and reserves upload slots, ops read health and metrics. Failures are problem+json (RFC 9457) with a `code` and who can mend it.',
      },
      servers: [{ url: '/', description: 'Where this description comes from' }],
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer', description: 'An API key: `ttk_…`, made by `cli keys create`' },
        },
      },
      security: [{ key: [] }],
      tags: [
        { name: 'connect', description: 'Sending a person to TikTok and back' },
        { name: 'accounts', description: 'Whose accounts, what they look like, how they are doing' },
        { name: 'token', description: 'Access tokens' },
        {
          name: 'uploads',
          description: 'Upload slots: in any 24 hours as many as `UPLOAD_LIMIT_PER_DAY` says, 20 unless it is set',
        },
        { name: 'owners', description: 'Tiers and places' },
        { name: 'events', description: 'What happened, as a feed and as webhooks' },
        { name: 'operations', description: 'The audit' },
        { name: 'probes', description: 'For probes and scrapers: health and metrics. A client leaves these out' },
        { name: 'browser', description: 'For people and their browsers: pages and redirects. A client leaves these out' },
        { name: 'tiktok', description: 'For TikTok only. A client leaves these out' },
      ],
    },
    transform: (document) => {
      const transformed = jsonSchemaTransform(document)
      const { config } = document.route
      const { operationId, response } = (document.schema ?? {}) as { operationId?: string; response?: Record<string, Failed> }
      if (operationId !== undefined) facts.set(operationId, factsOf(config, response))
      // Who may call it, said where it is read: the scope of a guarded route, no lock on a public one.
      const open = config?.public ? { security: [] } : {}
      const scopes = scopesOf(config).map((scope) => `\`${scope}\``)
      const scope =
        scopes.length === 0
          ? {}
          : { description: `${transformed.schema?.description ?? ''}\n\nScope: ${scopes.join(' or ')}.`.trim() }
      return { ...transformed, schema: { ...transformed.schema, ...open, ...scope } }
    },
    transformObject: (document) =>
      finish(jsonSchemaTransformObject(document), (operationId) => facts.get(operationId), [...guarded, ...withBody]),
  })
  if (!shown) return
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: docsPolicy,
    theme: { title: 'TikTok OAuth service: API', css: [{ filename: 'own.css', content: docsStyle }] },
    uiConfig: {
      layout: 'BaseLayout', // without the tool's own bar, whose logo brings a style that the policy does not know
      persistAuthorization: false,
      deepLinking: true,
      docExpansion: 'none',
      filter: true,
      defaultModelsExpandDepth: 0,
    },
  })
  app.get('/openapi.json', { config: { public: true, bucket: 'docs' }, schema: { hide: true } }, async () => app.swagger())
}

interface Failed {
  codes?: readonly FailureCode[]
}

function factsOf(config: FastifyContextConfig | undefined, response: Record<string, Failed> = {}): RouteFacts {
  return {
    codes: Object.fromEntries(Object.entries(response).map(([status, { codes = [] }]) => [status, codes])),
    isLimited: config?.bucket !== 'none',
  }
}

/** The file in `openapi/`, equal to what a running service says. */
export function asFile(description: object): string {
  return `${JSON.stringify(description, null, 2)}\n`
}
