// API keys: `ttk_<id>_<secret>_<crc>`. 256 random bits, so a plain SHA-256 at rest is enough and a slow hash would only cost; the
// checksum turns typing errors and scanners away without a query (S32).
import { crc32 } from 'node:zlib'
import type { KeyScope } from '../access/key-scopes.ts'
import { everything, isFrom, type Reach } from '../access/reach.ts'
import { type ApiKeyRow, findApiKey, insertApiKey, touchApiKey } from '../db/api-keys.ts'
import type { Db } from '../db/client.ts'
import { newId } from '../ids.ts'
import type { Refusals } from '../refusals.ts'
import { isOurKey, sealKey } from '../vault/deciding-rows.ts'
import { digest, randomToken, sameDigest } from '../vault/digest.ts'
import type { Vault } from '../vault/vault.ts'

export { type KeyScope, keyScopes } from '../access/key-scopes.ts'

/** Who calls. */
export interface Caller {
  keyId: string
  name: string
  scopes: readonly string[]
  reach: Reach
}

const format = /^ttk_([0-9a-z]{25})_([0-9a-f]{64})_([0-9a-f]{8})$/
/** A revoked key stops on every replica within 5 s (S35): cached rows live for less, the query's own time included. */
const cachedForMs = 4000
const touchedEveryMs = 60_000

const checksum = (text: string) => crc32(text).toString(16).padStart(8, '0')

/** @returns the key, to be shown once; only its hash is stored */
export async function createApiKey(
  { db, vault }: { db: Db; vault: Vault },
  wish: {
    name: string
    scopes: KeyScope[]
    expiresAt: Date | null
    reach?: Reach
    /** addresses it may come from; null: from anywhere */
    networks?: readonly string[] | null
    actor?: string
  },
): Promise<{ id: string; key: string }> {
  const id = newId('key')
  const secret = Buffer.from(randomToken(32), 'base64url').toString('hex')
  const body = `ttk_${id.slice('key_'.length)}_${secret}`
  const { name, scopes, expiresAt, reach = everything, networks = null, actor = 'service' } = wish
  const listed = (texts: readonly string[] | null) => (texts === null ? null : [...texts])
  const facts = {
    id,
    name,
    secretHash: digest(secret),
    scopes,
    ownerPrefixes: listed(reach.ownerPrefixes),
    accountIds: listed(reach.accountIds),
    networks: listed(networks),
    expiresAt,
  }
  await insertApiKey(db, { ...facts, sealedFacts: sealKey(vault, facts), actor })
  return { id, key: `${body}_${checksum(body)}` }
}

export interface ApiKeys {
  /** whether this process has seen the key live; `verify` says whether it still is */
  knows(key: string): boolean
  /** The caller as it was last seen live: for what may be answered while keys cannot be looked up. */
  lastKnown(key: string, address: string): Caller | undefined
  /**
   * @param address where it comes from: a key that is bound to other networks is, from here, no key
   * @returns the caller, or undefined for anything but a live key
   * @throws ServiceError storage_unavailable: a key that cannot be looked up is refused, not believed (S60)
   */
  verify(key: string, address: string): Promise<Caller | undefined>
}

/** @returns the parts of a key whose checksum fits; anything else costs nothing more */
function read(key: string): { id: string; secret: string } | undefined {
  const [, id, secret, crc] = format.exec(key) ?? []
  return id === undefined || secret === undefined || crc !== checksum(key.slice(0, -9)) ? undefined : { id: `key_${id}`, secret }
}

const isLive = (row: ApiKeyRow, secret: string) => sameDigest(digest(secret), row.secretHash) && row.live

const callerOf = ({ id, name, scopes, ownerPrefixes, accountIds }: ApiKeyRow): Caller => ({
  keyId: id,
  name,
  scopes,
  reach: { ownerPrefixes, accountIds },
})

/** Keys as one process knows them: looked up once in four seconds each, however many callers come at once, and compared in constant time. */
export function openApiKeys({ db, vault, refusals }: { db: Db; vault: Vault; refusals: Refusals }): ApiKeys {
  const known = new Map<string, { row: ApiKeyRow; readAt: number }>()
  const asked = new Map<string, Promise<ApiKeyRow | undefined>>()
  const touchedAt = new Map<string, number>()

  async function lookUp(id: string): Promise<ApiKeyRow | undefined> {
    const cached = known.get(id)
    if (cached && performance.now() - cached.readAt < cachedForMs) return cached.row
    const present = asked.get(id)
    if (present) return present
    const question = ask(id).finally(() => asked.delete(id))
    asked.set(id, question)
    return question
  }

  async function ask(id: string): Promise<ApiKeyRow | undefined> {
    const readAt = performance.now()
    const found = await findApiKey(db, id)
    const row = found && isOurKey(vault, found, found.sealedFacts) ? found : undefined
    if (found && !row)
      refusals.note({ kind: 'foreign_key', event: 'API key was written past the service', who: id, facts: { keyId: id } })
    // Only keys that exist are kept, so that guesses cannot fill the memory.
    if (row) known.set(id, { row, readAt })
    else known.delete(id)
    return row
  }

  return {
    knows(key) {
      const { id, secret } = read(key) ?? {}
      const row = id === undefined ? undefined : known.get(id)?.row
      return row !== undefined && secret !== undefined && isLive(row, secret)
    },

    lastKnown(key, address) {
      const { id, secret } = read(key) ?? {}
      const row = id === undefined ? undefined : known.get(id)?.row
      if (!row || secret === undefined || !isLive(row, secret) || !isFrom(row.networks, address)) return undefined
      // It may have ended since: the database's clock is out of reach, so ours decides.
      return row.expiresAt !== null && row.expiresAt.getTime() <= Date.now() ? undefined : callerOf(row)
    },

    async verify(key, address) {
      const { id, secret } = read(key) ?? {}
      if (id === undefined || secret === undefined) return undefined
      const row = await lookUp(id)
      if (!row || !isLive(row, secret) || !isFrom(row.networks, address)) return undefined
      const now = performance.now()
      if (now - (touchedAt.get(row.id) ?? Number.NEGATIVE_INFINITY) > touchedEveryMs) {
        touchedAt.set(row.id, now)
        touchApiKey(db, row.id).catch(() => touchedAt.delete(row.id)) // last_used_at is a convenience
      }
      return callerOf(row)
    },
  }
}
