// The only door in: Fastify with every limit set, one plugin per resource, and routes that are closed unless they say otherwise.
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import type { TierDeps } from './connect/limits.ts'
import { misfit, ServiceError } from './errors.ts'
import { type AccountRouteDeps, accountRoutes } from './http/accounts.ts'
import { openApiKeys } from './http/api-keys.ts'
import { auditRoutes } from './http/audit.ts'
import { type GuardDeps, guardRoutes } from './http/auth.ts'
import { type ConnectSessionRouteDeps, connectSessionRoutes } from './http/connect-sessions.ts'
import { eventRoutes } from './http/events.ts'
import { answerFailure, answerUnreadable, everywhere, handleFailures, noSuchRoute } from './http/failures.ts'
import { hasDuplicateKeys } from './http/json-body.ts'
import { limitRequests } from './http/limits.ts'
import type { HttpMetrics } from './http/metrics.ts'
import { describeApi, openDocs } from './http/openapi.ts'
import { type OperationRouteDeps, operationRoutes } from './http/operations.ts'
import { ownerRoutes } from './http/owners.ts'
import { securityTxtRoute } from './http/security-txt.ts'
import { tiktokVerificationRoutes } from './http/tiktok-verification.ts'
import { tokenRoutes } from './http/tokens.ts'
import { uploadRoutes } from './http/uploads.ts'
import { type WebhookRouteDeps, webhookRoutes } from './http/webhooks.ts'
import { newId } from './ids.ts'
import type { EraseDeps } from './operate/erase.ts'
import { changeOf, logoRoute } from './pages/brand.ts'
import { type BrowserRouteDeps, browserRoutes } from './pages/browser.ts'
import { type ConnectPageRouteDeps, connectPageRoutes } from './pages/connect-page.ts'
import { answerFailureOnPage, isForPeople } from './pages/failures.ts'
import { type OwnAccountRouteDeps, ownAccountRoutes } from './pages/own-accounts.ts'
import { refusePrefetch } from './pages/page.ts'
import { problemRoutes } from './pages/problems.ts'
import type { Config } from './settings/config.ts'
import { forgetCallersNames, rememberCallersNames } from './telemetry.ts'
import type { VendDeps } from './token/vend.ts'
import { type RequestSpan, requestSpan } from './tracing/tracing.ts'
import type { UploadDeps } from './uploads/reservations.ts'

/** How long the door waits. All of Fastify's own defaults here are "no limit" (S66, F58). */
export interface Patience {
  /** for a request's head; shorter than for all of it, or Node takes the two for each other */
  headMs: number
  /** for all of a request, its body too */
  requestMs: number
  /** between two looks for requests that took longer: how late one can be found */
  lookEveryMs: number
  /** for a connection on which nothing moves */
  idleMs: number
  /** longer than the slowest answer we promise (a completion with a slow TikTok), shorter than a proxy's patience */
  handlerMs: number
}

const usualPatience: Patience = { headMs: 8000, requestMs: 10_000, lookEveryMs: 1000, idleMs: 30_000, handlerMs: 25_000 }

/** What the routes use, each of it: see there. */
export type ServerDeps = ConnectSessionRouteDeps &
  AccountRouteDeps &
  TierDeps &
  EraseDeps &
  VendDeps &
  UploadDeps &
  WebhookRouteDeps &
  OperationRouteDeps &
  BrowserRouteDeps &
  ConnectPageRouteDeps &
  OwnAccountRouteDeps &
  GuardDeps & { config: Config; metrics: HttpMetrics }

const neverAsked = (): never => {
  throw new Error('schemas are compiled by zod')
}

/** @returns the service over HTTP, not listening yet */
export async function buildServer(deps: ServerDeps, options: { patience?: Patience | undefined } = {}): Promise<FastifyInstance> {
  const { config, metrics, log } = deps
  const patience = options.patience ?? usualPatience
  const app = Fastify({
    logger: false, // telemetry.ts logs, from an allow-list
    genReqId: () => newId('req'), // never the caller's: it goes into logs and audit rows
    requestIdHeader: false,
    trustProxy: config.trustedProxies.length === 0 ? false : [...config.trustedProxies],
    bodyLimit: 16 * 1024,
    exposeHeadRoutes: true,
    http: { headersTimeout: patience.headMs, connectionsCheckingInterval: patience.lookEveryMs },
    connectionTimeout: patience.idleMs,
    requestTimeout: patience.requestMs,
    handlerTimeout: patience.handlerMs,
    keepAliveTimeout: patience.idleMs,
    forceCloseConnections: 'idle',
    return503OnClosing: false, // what a kept connection brings in that moment is answered like everything else
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    // Given here, Fastify does not load compilers of its own that nobody uses.
    schemaController: { compilersFactory: { buildValidator: neverAsked, buildSerializer: neverAsked } },
    routerOptions: { maxParamLength: 256 }, // an owner's 128 characters may be two units each
    frameworkErrors: (error, request, reply) =>
      answerFailure(deps, error, request, (reply as unknown as FastifyReply).headers(everywhere(config, request.id))),
    clientErrorHandler: (error, socket) => answerUnreadable(deps, error, socket),
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  takeOnlyJson(app)
  takeOnlyWhatIsNamed(app)
  handleFailures(app, deps)
  const methodsAt = watchRoutes(app)
  app.setNotFoundHandler((request, reply) => {
    const failure = noSuchRoute(methodsAt(request.url), reply)
    if (isForPeople(request)) return answerFailureOnPage(deps, failure, request, reply)
    return answerFailure(deps, failure, request, reply)
  })

  app.addHook('onRequest', async (request) => rememberCallersNames(request.id, request.headers))
  if (config.traceEndpoint !== undefined) traceRequests(app)
  await app.register(cookie)
  const limits = await limitRequests(app, deps)
  openDocs(app)
  await guardRoutes(app, deps, { apiKeys: openApiKeys(deps), failures: limits.failures })
  spendNothingOnHead(app)
  await describeApi(app, config.docs)

  app.addHook('onSend', async (request, reply) => {
    // A connection that is busy when shutdown begins would be kept open and delay the end. And Node would read an unwanted body
    // for as long as it is sent.
    if (deps.leaving.aborted || hasUnreadBody(request)) reply.header('connection', 'close')
    reply.headers(everywhere(config, request.id))
    if (isDocs(request)) reply.headers(docsHeaders)
  })
  app.addHook('onResponse', async (request, reply) => {
    // The route's pattern: an address holds ids, and on the browser routes secrets.
    const route = request.routeOptions.url ?? 'none'
    const labels = { method: request.method, route }
    metrics.requests.inc({ ...labels, status: String(reply.statusCode) })
    metrics.requestSeconds.observe(labels, reply.elapsedTime / 1000)
    if (request.failure !== null) metrics.failures.inc({ code: request.failure })
    log[config.logsRequests ? 'info' : 'debug']('request answered', {
      requestId: request.id,
      ...labels,
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime),
    })
    forgetCallersNames(request.id)
  })

  await app.register(connectSessionRoutes, deps)
  await app.register(accountRoutes, deps)
  await app.register(ownerRoutes, deps)
  await app.register(tokenRoutes, deps)
  await app.register(uploadRoutes, deps)
  await app.register(eventRoutes, deps)
  await app.register(webhookRoutes, { ...deps, forgeries: limits.forgeries })
  await app.register(operationRoutes, deps)
  await app.register(securityTxtRoute, { config })
  await app.register(tiktokVerificationRoutes, { config })
  await app.register(logoRoute, { config })
  const changed = config.brand.color === undefined ? undefined : changeOf(config.brand.color)
  if (changed !== undefined) log.info(changed)
  await app.register(auditRoutes, deps)
  await app.register(async (pages) => {
    pages.setErrorHandler((error, request, reply) => answerFailureOnPage(deps, error, request, reply))
    refusePrefetch(pages, deps)
    await pages.register(formbody, { bodyLimit: 16 * 1024 })
    await pages.register(browserRoutes, deps)
    await pages.register(connectPageRoutes, deps)
    await pages.register(ownAccountRoutes, deps)
    await pages.register(problemRoutes, deps)
  })
  return app
}

/** The description's page is somebody else's, with scripts and a policy of its own for them; the rest is as on our pages. */
const docsHeaders = { 'referrer-policy': 'no-referrer', 'x-frame-options': 'DENY', 'cross-origin-opener-policy': 'same-origin' }
const isDocs = ({ url }: FastifyRequest): boolean => /^\/docs([/?]|$)/.test(url)

const spans = new WeakMap<FastifyRequest, RequestSpan>()

/** Before the body is read and again after it: in between the way back to the request is lost. */
function traceRequests(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, next) => {
    const span = requestSpan(request.method, request.headers)
    if (!span) return next()
    spans.set(request, span)
    span.enter(next)
  })
  app.addHook('preValidation', (request, _reply, next) => {
    const span = spans.get(request)
    if (span) span.enter(next)
    else next()
  })
  app.addHook('onResponse', async (request, reply) =>
    spans.get(request)?.end(request.routeOptions.url ?? 'none', reply.statusCode),
  )
}

/** @returns which methods there are at an address, whatever was asked with */
function watchRoutes(app: FastifyInstance): (url: string) => string[] {
  const routes = new Map<string, { fits: RegExp; methods: Set<string> }>()
  app.addHook('onRoute', ({ url, method }) => {
    const fits = new RegExp(`^${url.replace(/[.]/g, '\\.').replace(/:\w+/g, '[^/]+').replace(/\*/g, '.*')}$`)
    const route = routes.get(url) ?? { fits, methods: new Set() }
    for (const each of [method].flat()) route.methods.add(each)
    routes.set(url, route)
  })
  return (url) => {
    const path = url.split('?')[0] ?? ''
    const methods = [...routes.values()].filter(({ fits }) => fits.test(path)).flatMap((route) => [...route.methods])
    return [...new Set(methods)].sort()
  }
}

/** A HEAD would vend a token, refresh it, or take the one use of a state, for nobody (S14). It is checked like a GET, and ends there. */
function spendNothingOnHead(app: FastifyInstance): void {
  app.addHook('preHandler', async (request, reply) => {
    const { onHead, page } = request.routeOptions.config
    if (request.method !== 'HEAD' || !onHead) return
    await onHead(request)
    return reply
      .header('cache-control', 'no-store')
      .type(page ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8')
      .send()
  })
}

/** A request that was answered before its body was here, such as one without a key. */
function hasUnreadBody({ raw }: FastifyRequest): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': transfer } = raw.headers
  return !raw.complete && (transfer !== undefined || length !== '0')
}

/** Unknown fields are refused, not dropped (S40): also where a route names none at all. */
function takeOnlyWhatIsNamed(app: FastifyInstance): void {
  app.addHook('preValidation', async ({ routeOptions: { config, schema }, query, body }) => {
    if (config.scope === undefined) return
    const unnamed = (given: unknown) => typeof given === 'object' && given !== null && Object.keys(given).length > 0
    if (!schema?.querystring && unnamed(query))
      throw misfit('validation_failed', { parameter: '', detail: 'This route takes no query.' })
    if (!schema?.body && (unnamed(body) || (body !== undefined && typeof body !== 'object')))
      throw misfit('validation_failed', { pointer: '', detail: 'This route takes no body.' })
  })
}

/**
 * JSON routes take application/json only; `DELETE` and `POST` without a body work with and without a content type (S65), whatever the type:
 * `curl -d ''` says form.
 */
function takeOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') return done(null, undefined)
    parse(request, String(body), (error, value) => {
      if (error === null && hasDuplicateKeys(String(body)))
        done(misfit('invalid_json', { pointer: '', detail: 'Send each key once: the body has one twice.' }), undefined)
      else done(error, value)
    })
  })
  app.addContentTypeParser('*', (request, _body, done) => {
    const { 'content-length': length = '0', 'transfer-encoding': transfer } = request.headers
    if (length === '0' && transfer === undefined) done(null, undefined)
    else done(new ServiceError('unsupported_media_type', 'Send application/json.'), undefined)
  })
}
