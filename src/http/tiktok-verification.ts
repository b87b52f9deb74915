// TikTok's proof that an address is ours: it fetches `/tiktok….txt` and compares it byte for byte, and follows no redirect.
import type { FastifyPluginAsync } from 'fastify'
import type { Config } from '../settings/config.ts'

export const tiktokVerificationRoutes: FastifyPluginAsync<{ config: Pick<Config, 'tiktokVerifications'> }> = async (
  app,
  { config },
) => {
  for (const { name, content } of config.tiktokVerifications) {
    app.get(`/${name}`, { config: { public: true }, schema: { hide: true } }, async (_request, reply) =>
      reply.type('text/plain; charset=utf-8').send(content),
    )
  }
}
