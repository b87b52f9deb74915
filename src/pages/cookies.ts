// The cookies of a browser: one per connect session and one per departure to TikTok, so that two pages or two tabs do not fight.
// The oldest go, before the head of a request becomes too large.
import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../settings/config.ts'

export interface CookieDeps {
  config: Pick<Config, 'secureCookies'>
}

/** How the names of each kind begin. */
const names = { visit: 'tts-visit-', departure: 'tts-' } as const
type Kind = keyof typeof names

/** Of each kind: as many pages as anybody has open, and about four kilobytes of both. */
const most = 20

export interface Kept {
  /** what it belongs to: 16 characters of hex, which are no secret */
  tag: string
  /** one secret, or two with a dot between them */
  secret: string
}

/** What a browser brings along of a kind, the newest first. */
export const cookiesOf = (deps: CookieDeps, request: FastifyRequest, kind: Kind): Kept[] =>
  allOf(deps, request, kind).slice(0, most)

/** Leaves one more with the browser, and takes the oldest away. */
export function keepCookie(
  deps: CookieDeps,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  kind: Kind,
  { tag, secret, lifeSeconds }: Kept & { lifeSeconds: number },
): void {
  const options: CookieSerializeOptions = {
    httpOnly: true,
    secure: deps.config.secureCookies,
    // Both the web app's link and TikTok's way back are cross-site navigations, and Strict would withhold the cookie.
    sameSite: 'lax',
    path: '/',
  }
  const name = nameOf(deps, kind)
  reply.setCookie(name + tag, `${secret}.${Date.now().toString(36)}`, { ...options, maxAge: lifeSeconds })
  const others = allOf(deps, request, kind).filter((kept) => kept.tag !== tag)
  for (const { tag } of others.slice(most - 1)) reply.clearCookie(name + tag, options)
}

function allOf(deps: CookieDeps, { cookies }: FastifyRequest, kind: Kind): Kept[] {
  const name = nameOf(deps, kind)
  return Object.entries(cookies ?? {})
    .flatMap(([key, value = '']) => {
      const [, secret, at] = /^([\w-]{43}(?:\.[\w-]{43})?)\.([0-9a-z]{8})$/.exec(value) ?? []
      const tag = key.slice(name.length)
      return secret && at && key.startsWith(name) && /^[0-9a-f]{16}$/.test(tag) ? [{ tag, secret, at }] : []
    })
    .sort((a, b) => (a.at < b.at ? 1 : -1)) // base 36 of one length sorts as the numbers do
}

/** With the prefix no subdomain can set it; browsers would drop that on a loopback http PUBLIC_URL (S04). */
const nameOf = ({ config }: CookieDeps, kind: Kind) => (config.secureCookies ? '__Host-' : '') + names[kind]
