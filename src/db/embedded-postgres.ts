// The PostgreSQL for machines that have none, loaded only where it is needed: a development tool, which the image leaves out.
import { ServiceError } from '../errors.ts'

/** @throws ServiceError storage_unavailable where this installation came without it */
export async function loadEmbeddedPostgres() {
  return import('../../tools/embedded-postgres/embedded.ts').catch((cause) => {
    throw new ServiceError('storage_unavailable', 'Set DATABASE_URL: this installation has no PostgreSQL of its own.', { cause })
  })
}
