// How a failure looks on a route for people: a page that says what to do next, with the way back where there is one.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ServiceError } from '../errors.ts'
import { failures } from '../failures.ts'
import { prepareFailure } from '../http/failures.ts'
import type { Parts } from '../parts.ts'
import { failurePage, sendPage } from './page.ts'
import { readPass } from './visitor.ts'

export function answerFailureOnPage(parts: Parts, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const failure = prepareFailure(parts, error, request, reply)
  const content = failurePage(failure, request.id, waysOn(parts, failure, request))
  return sendPage(parts, reply.code(failures[failure.code].status), content)
}

/** Whoever has the connect page open is shown the way back to it, unless it is the page itself that failed. */
function waysOn(parts: Parts, { code }: ServiceError, request: FastifyRequest): { again?: string } {
  const onPage = request.method === 'GET' && request.routeOptions.url === '/connect'
  return onPage || code === 'browser_mismatch' || !request.cookies || readPass(parts, request) === null
    ? {}
    : { again: '/connect' }
}
