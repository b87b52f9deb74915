// Which languages the pages speak, and which of them a visit gets: what the person chose on the page, else what the session says, else
// what the browser asks for, else English.
import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { CookieDeps } from './cookies.ts'

/** By their own names, in the order of the alphabet. */
export const languages = {
  ar: 'العربية',
  de: 'Deutsch',
  en: 'English',
  es: 'Español',
  fr: 'Français',
  ja: '日本語',
  'pt-BR': 'Português (Brasil)',
} as const
export type Language = keyof typeof languages
export const languageCodes = Object.keys(languages) as Language[]

export const ChosenLanguage = z
  .enum(languageCodes as [Language, ...Language[]])
  .optional()
  .describe('The language that the person chose on the page; the browser remembers it')

/** @param locale as the connect session has it */
export function languageOf(deps: CookieDeps, request: FastifyRequest, locale: string | null | undefined): Language {
  const { lang } = request.query as { lang?: unknown }
  return (
    known(lang) ??
    known(request.cookies?.[nameOf(deps)]) ??
    (locale == null ? undefined : closest(locale)) ??
    accepted(request.headers['accept-language']) ??
    'en'
  )
}

/** A choice holds for every page of this browser, and through TikTok and back, until the browser is closed. */
export function rememberLanguage(deps: CookieDeps, reply: FastifyReply, chosen: Language | undefined): void {
  if (chosen === undefined) return
  const options: CookieSerializeOptions = { httpOnly: true, secure: deps.config.secureCookies, sameSite: 'lax', path: '/' }
  reply.setCookie(nameOf(deps), chosen, options)
}

const nameOf = ({ config }: CookieDeps) => `${config.secureCookies ? '__Host-' : ''}tts-language`

const known = (code: unknown): Language | undefined => languageCodes.find((language) => language === code)

/** Which of our languages a BCP 47 tag gets. Any Portuguese gets the Brazilian catalogue: it is nearer than English. */
export const closest = (tag: string): Language | undefined => {
  const [primary] = tag.toLowerCase().split('-')
  return languageCodes.find((language) => language.toLowerCase().split('-')[0] === primary)
}

/** Of an Accept-Language header, by weight and then by order (RFC 9110 §12.5.4); what has weight 0 is not wanted. */
function accepted(header: string | undefined): Language | undefined {
  const wishes = (header ?? '')
    .slice(0, 1000)
    .split(',')
    .flatMap((wish) => {
      const [, tag, q] = /^\s*([a-z]{1,8}(?:-[a-z0-9]{1,8})*|\*)\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?$/i.exec(wish) ?? []
      const language = tag === undefined ? undefined : tag === '*' ? 'en' : closest(tag)
      const weight = Number(q ?? 1)
      return language !== undefined && weight > 0 ? [{ language, weight }] : []
    })
  return wishes.sort((a, b) => b.weight - a.weight)[0]?.language
}
