// What decides about a token beside the token itself: whose it is and until when. Whoever can write to the database could change that, so it
// is sealed along with it, and what does not fit its seal hands out nothing.
import { ServiceError } from '../errors.ts'
import { digest, sameDigest } from './digest.ts'
import type { SealPlace, Vault } from './vault.ts'

export interface Identity {
  accountId: string
  openId: string
  ownerId: string
}

/** The SQL in db/sealed-texts.ts says the same; the length keeps the two ids apart, whatever they are made of. */
const identityPlace = ({ accountId, openId, ownerId }: Identity): SealPlace => ({
  purpose: 'identity',
  subject: `${accountId}|${[...openId].length}|${openId}${ownerId}`,
  generation: 0,
})
const expiryPlace = (accountId: string, generation: number): SealPlace => ({ purpose: 'expiry', subject: accountId, generation })

/** An empty text: all that matters is the place, which is authenticated with it. */
export const sealIdentity = (vault: Vault, identity: Identity): string => vault.seal(identityPlace(identity), '')

/** @throws ServiceError credential_unreadable: the account has another owner or person than it was connected with */
export function checkIdentity(vault: Vault, identity: Identity, sealed: string | null): void {
  if (sealed === null) throw changed()
  const place = identityPlace(identity)
  if (wasChecked(vault, sealed, place.subject)) return
  vault.open(place, sealed)
  remember(vault, sealed, place.subject)
}

export const sealExpiry = (vault: Vault, accountId: string, generation: number, expiresAt: Date): string =>
  vault.seal(expiryPlace(accountId, generation), String(expiresAt.getTime()))

/** Moved to earlier it costs a refresh and nothing else. @throws ServiceError credential_unreadable: moved to later, or of another generation */
export function checkExpiry(vault: Vault, accountId: string, generation: number, expiresAt: Date, sealed: string | null): void {
  const fact = `${accountId} ${generation} ${expiresAt.getTime()}`
  if (sealed !== null && wasChecked(vault, sealed, fact)) return
  if (sealed === null || expiresAt.getTime() > Number(vault.open(expiryPlace(accountId, generation), sealed))) throw changed()
  remember(vault, sealed, fact)
}

/** What an API key may do. Its end may be moved to earlier, as whoever revokes it does. */
export interface KeyFacts {
  id: string
  name: string
  secretHash: string
  scopes: readonly string[]
  ownerPrefixes: readonly string[] | null
  accountIds: readonly string[] | null
  networks: readonly string[] | null
  expiresAt: Date | null
}

const keyPlace = (id: string): SealPlace => ({ purpose: 'api_key', subject: id, generation: 0 })
const rightsOf = ({ name, secretHash, scopes, ownerPrefixes, accountIds, networks }: KeyFacts): string =>
  digest(JSON.stringify([name, secretHash, scopes, ownerPrefixes, accountIds, networks]))

export const sealKey = (vault: Vault, key: KeyFacts): string =>
  vault.seal(keyPlace(key.id), `${rightsOf(key)} ${key.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY}`)

/** Whether the service made this key as it stands: what somebody planted or widened in the database opens nothing. */
export function isOurKey(vault: Vault, key: KeyFacts, sealed: string | null): boolean {
  if (sealed === null) return false
  try {
    const [rights = '', end = ''] = vault.open(keyPlace(key.id), sealed).split(' ')
    return sameDigest(rights, rightsOf(key)) && (key.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY) <= Number(end)
  } catch (error) {
    if (error instanceof ServiceError) return false
    throw error
  }
}

/** What was found to fit its seal: the same seal with the same facts fits again, and a busy account is read many times. */
const checked = new WeakMap<Vault, Map<string, string>>()
const rememberedSeals = 20_000

const wasChecked = (vault: Vault, sealed: string, fact: string): boolean => checked.get(vault)?.get(sealed) === fact

function remember(vault: Vault, sealed: string, fact: string): void {
  const facts = checked.get(vault) ?? new Map<string, string>()
  checked.set(vault, facts.set(sealed, fact))
  const [oldest] = facts.keys()
  if (facts.size > rememberedSeals && oldest !== undefined) facts.delete(oldest)
}

const changed = () =>
  new ServiceError(
    'credential_unreadable',
    'What is stored about this account was changed past the service: restore the row, or have the person connect again.',
  )
