// The pass of a person on the connect page, in a cookie: no secret stays in an address, a history or a screenshot.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config.ts'
import type { Parts } from '../parts.ts'
import type { Pass } from '../token/visit.ts'

export function readPass({ config }: Parts, request: FastifyRequest): Pass | null {
  const match = /^([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/.exec(request.cookies[nameFor(config)] ?? '')
  return match?.[1] && match[2] ? { linkSecret: match[1], browserSecret: match[2] } : null
}

/** One pass per browser: another link opened replaces it, and forms of the page before are refused by their token. */
export function writePass({ config }: Parts, reply: FastifyReply, { linkSecret, browserSecret }: Pass): void {
  reply.setCookie(nameFor(config), `${linkSecret}.${browserSecret}`, {
    httpOnly: true,
    secure: config.secureCookies,
    sameSite: 'lax', // Strict would leave the redirect out that first brings people here from the web app
    path: '/',
    // An hour, though the session ends sooner: until then a late click is told what happened instead of "nothing here".
    maxAge: 3600,
  })
}

const nameFor = ({ secureCookies }: Config) => (secureCookies ? '__Host-tts-connect' : 'tts-connect')
