// Where the service listens. An address that cannot be had is a mistake in HOST or PORT, and said like one.
import type { FastifyInstance } from 'fastify'
import { ConfigError } from '../settings/config.ts'

const unknownHost = 'HOST is a name that is not known here: take an address of this machine, or 0.0.0.0 for all of them'

const remediesFor = (variable: string): Record<string, string> => ({
  EADDRINUSE: `HOST and ${variable} name a place where another process listens: stop that process, or choose another ${variable}`,
  EADDRNOTAVAIL: 'HOST is not an address of this machine: take one that is, or 0.0.0.0 for all of them',
  EACCES: `${variable} is one that this user may not listen on: choose one from 1024 up`,
  ENOTFOUND: unknownHost,
  EAI_AGAIN: unknownHost,
})

/**
 * @param place.variable which variable the port comes from
 * @returns the address it listens on, as a URL
 * @throws ConfigError about HOST and that variable
 */
export async function listen(
  server: FastifyInstance,
  { host, port, variable = 'PORT' }: { host: string; port: number; variable?: 'PORT' | 'METRICS_PORT' },
): Promise<string> {
  await server.listen({ host, port }).catch((error: NodeJS.ErrnoException) => {
    const remedy = remediesFor(variable)[error.code ?? '']
    throw remedy === undefined ? error : new ConfigError([remedy])
  })
  return server.listeningOrigin
}
