// The login, in signed cookies: who is logged in, what to say on the next page, and a token in every form that another site
// cannot know.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { findUser, type User } from './users.ts'

export interface Session {
  user: User | undefined
  /** goes into every form as `csrf` */
  csrf: string
}

/** Said once, on the next page. */
export interface Message {
  kind: 'good' | 'bad'
  title: string
  text: string
}

export class WrongForm extends Error {}

const sessionCookie = 'example_session'
const messageCookie = 'example_message'
// Lax: people come back from TikTok by a cross-site navigation. A real app adds `secure` and a `__Host-` prefix.
const cookie = { path: '/', httpOnly: true, sameSite: 'lax', signed: true } as const

/** @returns the session the request came with, or a new one nobody is logged in to */
export function sessionOf(request: FastifyRequest, reply: FastifyReply, secret: string): Session {
  const [id, userId] = (opened(request, sessionCookie) ?? '').split('.')
  if (id !== undefined && /^[\w-]{22}$/.test(id)) return { user: findUser(userId), csrf: csrfOf(id, secret) }
  return startSession(reply, undefined, secret)
}

/** A fresh id at login and logout, so that one planted before is worth nothing after (session fixation). */
export function startSession(reply: FastifyReply, user: User | undefined, secret: string): Session {
  const id = randomBytes(16).toString('base64url')
  reply.setCookie(sessionCookie, `${id}.${user?.id ?? ''}`, { ...cookie, maxAge: 7 * 86_400 })
  return { user, csrf: csrfOf(id, secret) }
}

/** @throws WrongForm when the form was not made for this session */
export function checkForm(session: Session, csrf: string | undefined): void {
  const given = Buffer.from(csrf ?? '')
  const right = Buffer.from(session.csrf)
  if (given.length !== right.length || !timingSafeEqual(given, right)) throw new WrongForm()
}

export function leaveMessage(reply: FastifyReply, message: Message): void {
  reply.setCookie(messageCookie, Buffer.from(JSON.stringify(message)).toString('base64url'), { ...cookie, maxAge: 60 })
}

export function takeMessage(request: FastifyRequest, reply: FastifyReply): Message | undefined {
  const text = opened(request, messageCookie)
  if (text === undefined) return undefined
  reply.clearCookie(messageCookie, cookie)
  return JSON.parse(Buffer.from(text, 'base64url').toString()) as Message // signed: it is ours
}

function opened(request: FastifyRequest, name: string): string | undefined {
  const { valid, value } = request.unsignCookie(request.cookies[name] ?? '')
  return valid ? value : undefined
}

function csrfOf(sessionId: string, secret: string): string {
  return createHmac('sha256', secret).update(`csrf:${sessionId}`).digest('base64url')
}
