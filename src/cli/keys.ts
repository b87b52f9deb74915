// `keys`: creates, lists and revokes API keys.
import { listApiKeys, revokeApiKey, revokeOtherApiKeys } from '../db/api-keys.ts'
import { migrate } from '../db/migrate.ts'
import { createApiKey, type KeyScope, keyScopes } from '../http/api-keys.ts'
import { type Bounds, isNetwork } from '../reach.ts'
import { onDatabase, operator } from './database.ts'
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
  nothingMore(positionals.slice(positionals[0] === 'revoke' && values['all-but'] === undefined ? 2 : 1))
  switch (positionals[0]) {
    case 'create':
      return create(values.name, values.scope ?? [], values['expires-days'], {
        ownerPrefixes: values['owner-prefix'] ?? null,
        accountIds: values.account ?? null,
        networks: values.from ?? null,
      })
    case 'list':
      return list()
    case 'revoke':
      if (values['all-but'] !== undefined) return revokeAllBut(values['all-but'])
      return revoke(positionals[1])
    default:
      throw new UsageError('keys knows create, list and revoke.')
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
  return onDatabase(
    async (db, database) => {
      await migrate(database)
      const { id, key } = await createApiKey(db, {
        name,
        scopes: [...new Set(scopes)],
        expiresAt,
        reach: bounds,
        networks: bounds.networks,
        actor: operator,
      })
      const live = (await listApiKeys(db)).filter((other) => other.name === name && other.live)
      say(`${id} was created for ${name}; this is the only time the key is shown`)
      // Two live keys let a caller change its key without an interruption; a third was probably forgotten.
      if (live.length > 2) say(`${name} has ${live.length} live keys now: revoke those it no longer uses (\`keys list\`)`)
      print(key)
    },
    { migrated: false },
  )
}

/** @throws UsageError: a bound that can never hold, or holds for everybody, is a slip of the hand */
function checkBounds({ ownerPrefixes, accountIds, networks }: Bounds): void {
  if (ownerPrefixes?.includes('')) throw new UsageError('--owner-prefix takes the beginning of owner ids, such as acme_.')
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
      const state = key.revokedAt ? 'revoked' : key.live ? 'live' : 'expired'
      const dates = `created ${day(key.createdAt)}\texpires ${day(key.expiresAt)}\tlast used ${minute(key.lastUsedAt)}`
      print([key.id, state, key.name, key.scopes.join(','), boundsOf(key), dates].join('\t'))
    }
  })
}

async function revoke(id: string | undefined): Promise<void> {
  if (id === undefined) throw new UsageError('keys revoke needs the id of a key, or --all-but ID; `keys list` shows them.')
  return onDatabase(async (db) => {
    if (!(await revokeApiKey(db, id, operator)))
      throw new UsageError(`There is no key ${JSON.stringify(id)}; \`keys list\` shows them.`)
    print(`${id} is revoked; every replica refuses it within 5 s`)
  })
}

/** For the hour after a leak: keeps the named keys and revokes all others. */
async function revokeAllBut(kept: string[]): Promise<void> {
  return onDatabase(async (db) => {
    const live = new Set((await listApiKeys(db)).filter((key) => key.live).map((key) => key.id))
    const unknown = kept.find((id) => !live.has(id))
    if (unknown !== undefined)
      throw new UsageError(`${JSON.stringify(unknown)} is not a live key, so nothing was revoked; \`keys list\` shows them.`)
    const revoked = await revokeOtherApiKeys(db, kept, operator)
    for (const id of revoked) say(`${id} is revoked`)
    print(`${revoked.length} keys are revoked; every replica refuses them within 5 s`)
  })
}

const day = (date: Date | null) => date?.toISOString().slice(0, 10) ?? 'never'
const minute = (date: Date | null) => date?.toISOString().slice(0, 16).replace('T', ' ') ?? 'never'
