// Where the service listens. An address that cannot be had is a mistake in HOST or PORT, and said like one.
import type { FastifyInstance } from 'fastify'
import { ConfigError } from '../config.ts'

const unknownHost = 'HOST is a name that is not known here: take an address of this machine, or 0.0.0.0 for all of them'

const remedies: Record<string, string> = {
  EADDRINUSE: 'HOST and PORT name a place where another process listens: stop that process, or choose another PORT',
  EADDRNOTAVAIL: 'HOST is not an address of this machine: take one that is, or 0.0.0.0 for all of them',
  EACCES: 'PORT is one that this user may not listen on: choose one from 1024 up',
  ENOTFOUND: unknownHost,
  EAI_AGAIN: unknownHost,
}

/**
 * @returns the address it listens on, as a URL
 * @throws ConfigError about HOST and PORT
 */
export async function listen(server: FastifyInstance, { host, port }: { host: string; port: number }): Promise<string> {
  await server.listen({ host, port }).catch((error: NodeJS.ErrnoException) => {
    const remedy = remedies[error.code ?? '']
    throw remedy === undefined ? error : new ConfigError([remedy])
  })
  return server.listeningOrigin
}
