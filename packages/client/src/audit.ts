// Who did what: handed-out tokens, the life of accounts, what operators did.
import type { CallOptions, Transport } from './transport.ts'
import type { AuditPage, Operations } from './wire.ts'

export class Audit {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** One page, oldest first. `nextCursor` is where to go on, also after the last page there is. */
  page({ signal, budgetMs, ...query }: NonNullable<Operations['listAudit']['query']> & CallOptions = {}): Promise<AuditPage> {
    return this.#transport.call('listAudit', { query }, { signal, budgetMs })
  }
}
