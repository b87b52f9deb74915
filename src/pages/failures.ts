// Failures on routes for people: a page that says what to do next, with the way back where there is one.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ServiceError } from '../errors.ts'
import { failures } from '../failures.ts'
import { prepareFailure } from '../http/failures.ts'
import type { Log } from '../telemetry.ts'
import { brandOf } from './brand.ts'
import { languageCodes, languageOf } from './languages.ts'
import { failurePage, type PageDeps, sendPage } from './page.ts'
import { tongueOf } from './tongue.ts'
import { addressOfPage, passOfFailure } from './visitor.ts'

export async function answerFailureOnPage(
  deps: PageDeps & { log: Log },
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const failure = prepareFailure(deps, error, request, reply)
  const brand = brandOf(deps.config, failure.look?.branding ?? null)
  const language = languageOf(deps, request, failure.look?.locale)
  const tongue = await tongueOf(language)
  const others = await Promise.all(languageCodes.filter((other) => other !== language).map(tongueOf))
  const content = failurePage(failure, { brand, tongue }, { requestId: request.id, others, ...waysOn(deps, failure, request) })
  return sendPage(deps, reply.code(failures[failure.code].status), content)
}

/** For every method: people come here, so a missing route is reported on a page too. */
export function isForPeople({ url }: FastifyRequest): boolean {
  return /^\/(authorize|callback|connect)(\/|\?|$)/.test(url)
}

/** The way back to the connect page for whoever has it open, unless that page itself failed. */
function waysOn(deps: PageDeps, { code }: ServiceError, request: FastifyRequest): { again?: string } {
  const onPage = request.method === 'GET' && request.routeOptions.url === '/connect'
  const pass = onPage || code === 'browser_mismatch' ? undefined : passOfFailure(deps, request)
  return pass ? { again: addressOfPage(pass) } : {}
}
