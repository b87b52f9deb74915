// How a failure looks on a route for people: a page that says what to do next, with the way back where there is one.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ServiceError } from '../errors.ts'
import { failures } from '../failures.ts'
import { prepareFailure } from '../http/failures.ts'
import type { Log } from '../telemetry.ts'
import { failurePage, type PageDeps, sendPage } from './page.ts'
import { readPass } from './visitor.ts'

export function answerFailureOnPage(
  deps: PageDeps & { log: Log },
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const failure = prepareFailure(deps.log, error, request, reply)
  const content = failurePage(failure, request.id, waysOn(deps, failure, request))
  return sendPage(deps, reply.code(failures[failure.code].status), content)
}

/** Whatever the method and however it ends: people walk there, so what is not there is said on a page too. */
export function isForPeople({ url }: FastifyRequest): boolean {
  return /^\/(authorize|callback|connect)(\/|\?|$)/.test(url)
}

/** Whoever has the connect page open is shown the way back to it, unless it is the page itself that failed. */
function waysOn(deps: PageDeps, { code }: ServiceError, request: FastifyRequest): { again?: string } {
  const onPage = request.method === 'GET' && request.routeOptions.url === '/connect'
  return onPage || code === 'browser_mismatch' || !request.cookies || readPass(deps, request) === null
    ? {}
    : { again: '/connect' }
}
