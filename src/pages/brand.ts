// Whose page it is: name, logo, colour and links of the environment, or of the session for itself.
import type { FastifyPluginAsync } from 'fastify'
import type { Branding } from '../display/branding.ts'
import { shown } from '../display/names.ts'
import { ServiceError } from '../errors.ts'
import type { Config } from '../settings/config.ts'
import { accentsOf, wholeOf } from './contrast.ts'

/** A page's own. */
export interface Brand {
  name: string | null
  /** where its logo is */
  logo: string | null
  /** what its colour changes in the style of all pages */
  style: string
  privacyUrl: string | null
  termsUrl: string | null
  supportUrl: string | null
}

type BrandConfig = Pick<Config, 'brand'>

/** @param own what the session says for itself; it goes before what the environment says, and a logo is never another product's */
export function brandOf({ brand }: BrandConfig, own: Branding | null): Brand {
  const ownName = shown(own?.name ?? null)
  const logo = own?.logo === undefined ? (ownName === null ? brand.logos[0] : undefined) : logoNamed(brand, own.logo)
  const color = own?.color ?? brand.color
  return {
    name: ownName ?? brand.name ?? null,
    logo: logo === undefined ? null : `/connect/logo/${logo.tag}`,
    style: color === undefined ? '' : styleOf(color),
    privacyUrl: own?.privacyUrl ?? brand.privacyUrl ?? null,
    termsUrl: own?.termsUrl ?? brand.termsUrl ?? null,
    supportUrl: own?.supportUrl ?? brand.supportUrl ?? null,
  }
}

const logoNamed = ({ logos }: Config['brand'], name: string) => logos.find((logo) => logo.name === name)

/** What is said at start of a colour that cannot be read as it is. @returns undefined where it can */
export function changeOf(color: string): string | undefined {
  const [{ light, dark }, whole] = [accentsOf(color), wholeOf(color)]
  const changed = [
    light.accent === whole ? '' : `${light.accent} on light`,
    dark.accent === whole ? '' : `${dark.accent} on dark`,
  ].filter((change) => change !== '')
  return changed.length === 0
    ? undefined
    : `BRAND_COLOR could not be read everywhere as it is, so the pages use ${changed.join(' and ')}`
}

function styleOf(color: string): string {
  const { light, dark } = accentsOf(color)
  const set = ({ accent, hover, onAccent, tint }: typeof light) =>
    `:root{--accent:${accent};--accent-hover:${hover};--on-accent:${onAccent};--tint:${tint}}`
  return `${set(light)}@media (prefers-color-scheme:dark){${set(dark)}}`
}

/** The logos: under an address of their bytes, so a browser may keep them for good; below /connect, where a proxy lets the page through. */
export const logoRoute: FastifyPluginAsync<{ config: BrandConfig }> = async (app, { config }) => {
  app.get<{ Params: { tag: string } }>(
    '/connect/logo/:tag',
    { config: { public: true }, schema: { hide: true } },
    async (request, reply) => {
      const logo = config.brand.logos.find(({ tag }) => tag === request.params.tag)
      if (!logo) throw new ServiceError('route_not_found', 'There is no such logo; reload the page that shows it.')
      reply.headers({
        etag: `"${logo.tag}"`,
        'cache-control': 'public, max-age=31536000, immutable',
        'x-content-type-options': 'nosniff',
        // A drawing opened by itself runs nothing and loads nothing.
        'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        'cross-origin-resource-policy': 'same-origin',
      })
      if (request.headers['if-none-match'] === `"${logo.tag}"`) return reply.code(304).send()
      return reply.type(logo.contentType).send(logo.bytes)
    },
  )
}
