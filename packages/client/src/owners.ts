// Whose accounts they are: a person or a team of yours, with the places that its tier has.
import type { CallOptions, Transport } from './transport.ts'
import type { ErasedOwner, Owner } from './wire.ts'

export class Owners {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  get(ownerId: string, options: CallOptions = {}): Promise<Owner> {
    return this.#transport.call('getOwner', { path: { ownerId } }, options)
  }

  setTier(ownerId: string, tier: string, options: CallOptions = {}): Promise<Owner> {
    return this.#transport.call('setOwnerTier', { path: { ownerId }, body: { tier } }, options)
  }

  /** Disconnects and erases everything of this owner. `status: 'unfinished'` says: call it again. */
  erase(ownerId: string, options: CallOptions = {}): Promise<ErasedOwner> {
    return this.#transport.call('eraseOwner', { path: { ownerId } }, options)
  }
}
