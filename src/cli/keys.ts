// `keys`: creates, lists and revokes API keys.

import { type Bounds, isNetwork } from '../access/reach.ts'
import {
  decideJwtCaller,
  forgetJwtCaller,
  listApiKeys,
  listJwtCallers,
  revokeApiKey,
  revokeOtherApiKeys,
} from '../db/api-keys.ts'
import type { Db } from '../db/client.ts'
import { migrate } from '../db/migrate.ts'
import { noOwner } from '../db/owners.ts'
import { readCanaries } from '../db/vault-keys.ts'
import { ServiceError } from '../errors.ts'
import { createApiKey, type KeyScope, keyScopes } from '../http/api-keys.ts'
import { jwtCallerNamed } from '../http/jwt-callers.ts'
import type { Vault } from '../vault/vault.ts'
import { onDatabase, onVault, operator } from './database.ts'
import { nothingMore, parse, print, say, UsageError, wholeNumber } from './terminal.ts'

export async function keys(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, {
    name: { type: 'string' },
    scope: { type: 'string', multiple: true },
    'expires-days': { type: 'string' },
    'owner-prefix': { type: 'string', multiple: true },
    account: { type: 'string', multiple: true },
    from: { type: 'string', multiple: true },
    'all-but': { type: 'string', multiple: true },
  })
  nothingMore(
    positionals.slice(positionals[0] === 'allow' || (positionals[0] === 'revoke' && values['all-but'] === undefined) ? 2 : 1),
  )
  switch (positionals[0]) {
    case 'create':
      return create(values.name, values.scope ?? [], values['expires-days'], {
        ownerPrefixes: values['owner-prefix'] ?? null,
        accountIds: values.account ?? null,
        networks: values.from ?? null,
      })
    case 'list':
      return list()
    case 'allow':
      return allow(positionals[1])
    case 'revoke':
      if (values['all-but'] !== undefined) return revokeAllBut(values['all-but'])
      return revoke(positionals[1])
    default:
      throw new UsageError('keys knows create, list, revoke and allow.')
  }
}

async function create(name: string | undefined, wanted: string[], days: string | undefined, bounds: Bounds): Promise<void> {
  checkBounds(bounds)
  if (name === undefined || name === '' || wanted.length === 0)
    throw new UsageError('keys create needs --name and at least one --scope.')
  if (name.startsWith('jwt:')) throw new UsageError('A name that begins with jwt: is that of a JWT caller; choose another.')
  const scopes = wanted.map((text): KeyScope => {
    const known = keyScopes.find((scope) => scope === text)
    if (!known) throw new UsageError(`There is no scope ${JSON.stringify(text)}.`)
    return known
  })
  const expiresAt = days === undefined ? null : new Date(Date.now() + wholeNumber('--expires-days', days, 1, 36_500) * 86_400_000)
  return onVault(
    async (db, vault, database) => {
      await migrate(database)
      await refuseStrangeKeys(db, vault)
      const { id, key } = await createApiKey(
        { db, vault },
        {
          name,
          scopes: [...new Set(scopes)],
          expiresAt,
          reach: bounds,
          networks: bounds.networks,
          actor: operator,
        },
      )
      const live = (await listApiKeys(db)).filter((other) => other.name === name && other.live)
      say(`${id} was created for ${name}; this is the only time the key is shown`)
      // Two live keys let a caller change its key without an interruption; a third was probably forgotten.
      if (live.length > 2) say(`${name} has ${live.length} live keys now: revoke those it no longer uses (\`keys list\`)`)
      print(key)
    },
    { migrated: false },
  )
}

/** @throws ServiceError keyring_mismatch: a key sealed with other keys than the service's would be refused there, and an alarm */
async function refuseStrangeKeys(db: Db, vault: Vault): Promise<void> {
  const canaries = await readCanaries(db)
  const [primary] = vault.keyIds
  const isRetired = canaries.length > 0 && !canaries.some(({ keyId }) => keyId === primary)
  if (isRetired || canaries.some(({ keyId, sealedCanary }) => !vault.checkCanary(keyId, sealedCanary)))
    throw new ServiceError(
      'keyring_mismatch',
      'The vault keys here are not those of this database: use the VAULT_KEYS of the service.',
    )
}

/** @throws UsageError: a bound that can never hold, or holds for everybody, is a slip of the hand */
function checkBounds({ ownerPrefixes, accountIds, networks }: Bounds): void {
  if (ownerPrefixes?.includes('')) throw new UsageError('--owner-prefix takes the beginning of owner ids, such as acme_.')
  if (ownerPrefixes?.some((prefix) => noOwner.startsWith(prefix)))
    throw new UsageError(`--owner-prefix takes no beginning of ${noOwner}, to which what was erased belongs.`)
  const account = accountIds?.find((id) => !/^acc_\w+$/.test(id))
  if (account !== undefined)
    throw new UsageError(`--account takes the id of an account, such as acc_01k9z3; ${JSON.stringify(account)} is none.`)
  const network = networks?.find((text) => !isNetwork(text))
  if (network !== undefined)
    throw new UsageError(`--from takes a network such as 10.0.0.0/8 or 2001:db8::/32; ${JSON.stringify(network)} is none.`)
}

function boundsOf({ ownerPrefixes, accountIds, networks }: Bounds): string {
  const told = [
    ...(ownerPrefixes ?? []).map((prefix) => `owner:${prefix}`),
    ...(accountIds ?? []).map((id) => `account:${id}`),
    ...(networks ?? []).map((network) => `from:${network}`),
  ]
  return told.length === 0 ? 'everything' : told.join(',')
}

async function list(): Promise<void> {
  return onDatabase(async (db) => {
    for (const key of await listApiKeys(db)) {
      const state = isJwt(key.id)
        ? key.revokedAt
          ? 'denied'
          : 'kept'
        : key.revokedAt
          ? 'revoked'
          : key.live
            ? 'live'
            : 'expired'
      const dates = `created ${day(key.createdAt)}\texpires ${day(key.expiresAt)}\tlast used ${minute(key.lastUsedAt)}`
      print([key.id, state, key.name, key.scopes.join(','), boundsOf(key), dates].join('\t'))
    }
  })
}

async function revoke(id: string | undefined): Promise<void> {
  if (id === undefined)
    throw new UsageError('keys revoke needs the id of a key, jwt:SUBJECT, or --all-but ID; `keys list` shows them.')
  return onDatabase(async (db) => {
    if (isJwt(id)) {
      const caller = jwtCallerNamed(id)
      await decideJwtCaller(db, caller, true, operator)
      print(`${caller} is denied; every replica refuses it within 5 s, until \`keys allow\``)
      return
    }
    if (!(await revokeApiKey(db, id, operator)))
      throw new UsageError(`There is no key ${JSON.stringify(id)}; \`keys list\` shows them.`)
    print(`${id} is revoked; every replica refuses it within 5 s`)
  })
}

/** Takes back what was decided about a JWT caller, or with `jwt:*` about all of them. */
async function allow(id: string | undefined): Promise<void> {
  if (id === undefined || !isJwt(id))
    throw new UsageError('keys allow needs jwt:SUBJECT or jwt:*; a revoked API key stays revoked.')
  const caller = jwtCallerNamed(id)
  return onDatabase(async (db) => {
    const everybodyIsDenied = (await listJwtCallers(db)).some((row) => row.id === everyJwtCaller && row.revokedAt !== null)
    if (everybodyIsDenied && caller !== everyJwtCaller) await decideJwtCaller(db, caller, false, operator)
    else if (!(await forgetJwtCaller(db, caller, operator))) throw new UsageError(`${JSON.stringify(caller)} is not denied.`)
    print(`${caller} is allowed again, within 5 s`)
  })
}

const everyJwtCaller = 'jwt:*'
const isJwt = (id: string) => id.startsWith('jwt:')

/** For the hour after a leak: keeps the named keys and revokes all others. */
async function revokeAllBut(kept: string[]): Promise<void> {
  return onDatabase(async (db) => {
    const live = new Set((await listApiKeys(db)).filter((key) => key.live).map((key) => key.id))
    const [keptCallers, keptKeys] = [kept.filter(isJwt).map(jwtCallerNamed), kept.filter((id) => !isJwt(id))]
    const unknown = keptKeys.find((id) => !live.has(id))
    if (unknown !== undefined)
      throw new UsageError(`${JSON.stringify(unknown)} is not a live key, so nothing was revoked; \`keys list\` shows them.`)
    // Whoever is kept is kept before everybody is denied: no caller of theirs is refused in between.
    for (const { id } of await listJwtCallers(db)) if (!keptCallers.includes(id)) await decideJwtCaller(db, id, true, operator)
    for (const id of keptCallers) await decideJwtCaller(db, id, false, operator)
    await decideJwtCaller(db, everyJwtCaller, true, operator)
    const revoked = await revokeOtherApiKeys(db, keptKeys, operator)
    for (const id of revoked) say(`${id} is revoked`)
    print(
      `${revoked.length} keys are revoked and all JWT callers but ${keptCallers.length} are denied; every replica refuses them within 5 s`,
    )
  })
}

const day = (date: Date | null) => date?.toISOString().slice(0, 10) ?? 'never'
const minute = (date: Date | null) => date?.toISOString().slice(0, 16).replace('T', ' ') ?? 'never'
