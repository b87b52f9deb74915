// /.well-known/security.txt (RFC 9116): where to report a vulnerability, if SECURITY_CONTACT says so.
import type { FastifyPluginAsync } from 'fastify'
import type { Config } from '../settings/config.ts'

/** RFC 9116 §2.5.5 recommends less than a year, so that nobody writes to a contact that is gone; it is as fresh as the configuration. */
const validForMs = 180 * 86_400_000

export const securityTxtRoute: FastifyPluginAsync<{ config: Pick<Config, 'publicUrl' | 'securityContact'> }> = async (
  app,
  { config },
) => {
  if (config.securityContact.length === 0) return
  const url = '/.well-known/security.txt'
  app.get(url, { config: { public: true }, schema: { hide: true } }, async (_request, reply) => {
    const expires = new Date(Date.now() + validForMs).toISOString()
    const lines = [
      ...config.securityContact.map((contact) => `Contact: ${contact}`),
      `Expires: ${expires}`,
      `Canonical: ${config.publicUrl}${url}`,
      'Preferred-Languages: en',
    ]
    return reply.type('text/plain; charset=utf-8').send(`${lines.join('\n')}\n`)
  })
}
