// How the trail names what it is about. It is never changed, so it must not hold what has to be erased one day.
import { hash } from 'node:crypto'

/** An owner by the hash of its id: whoever knows the id finds the rows, and nobody finds the id. */
export function ownerInTrail(ownerId: string): string {
  return `owner:${hash('sha256', ownerId, 'hex').slice(0, 32)}`
}
