// How far a caller reaches: which owners and accounts, and from which networks. What lies outside is, for that caller, not there (S74).
import { BlockList, isIP } from 'node:net'

/** null: not narrowed in this way. Narrowed in two ways means both have to hold. */
export interface Reach {
  ownerPrefixes: readonly string[] | null
  accountIds: readonly string[] | null
}

/** A reach, and the networks a caller may come from; null: from anywhere. */
export interface Bounds extends Reach {
  networks: readonly string[] | null
}

export const everything: Reach = { ownerPrefixes: null, accountIds: null }

/** What `in_reach` of the database takes; null for a caller that reaches everything. */
export function reachAsJson({ ownerPrefixes, accountIds }: Reach): string | null {
  if (ownerPrefixes === null && accountIds === null) return null
  return JSON.stringify({
    ...(ownerPrefixes === null ? {} : { owner_prefixes: ownerPrefixes }),
    ...(accountIds === null ? {} : { account_ids: accountIds }),
  })
}

export const isNarrow = ({ ownerPrefixes, accountIds }: Reach): boolean => ownerPrefixes !== null || accountIds !== null

/** All of an owner: their tier, their places, their erasure. Whoever reaches single accounts does not reach that. */
export function reachesOwner({ ownerPrefixes, accountIds }: Reach, ownerId: string): boolean {
  return accountIds === null && (ownerPrefixes === null || ownerPrefixes.some((prefix) => ownerId.startsWith(prefix)))
}

/** One account of an owner, or the connect session for it. `accountId` is null for a session that may connect any account. */
export function reachesAccount(reach: Reach, ownerId: string, accountId: string | null): boolean {
  if (reach.accountIds === null) return reachesOwner(reach, ownerId)
  return accountId !== null && reach.accountIds.includes(accountId) && reachesOwner({ ...reach, accountIds: null }, ownerId)
}

/** Both have to hold: of two prefixes one of which begins with the other, the longer one is left. */
export function narrower(one: Reach, other: Reach): Reach {
  const [a, b] = [one.ownerPrefixes, other.ownerPrefixes]
  const [c, d] = [one.accountIds, other.accountIds]
  return {
    ownerPrefixes:
      a === null || b === null
        ? (a ?? b)
        : a.flatMap((p) => b.flatMap((q) => (p.startsWith(q) ? [p] : q.startsWith(p) ? [q] : []))),
    accountIds: c === null || d === null ? (c ?? d) : c.filter((id) => d.includes(id)),
  }
}

/** @returns whether the text is a network such as `10.0.0.0/8` or `2001:db8::/32`; an address alone is a network of one */
export function isNetwork(text: string): boolean {
  return readNetwork(text) !== undefined
}

/** @param networks null: from anywhere */
export function isFrom(networks: readonly string[] | null, address: string): boolean {
  if (networks === null) return true
  const list = new BlockList()
  for (const text of networks) {
    const network = readNetwork(text)
    if (network) list.addSubnet(network.address, network.bits, network.family)
  }
  // An IPv4 caller of a dual-stack socket is one, however it is written.
  const bare = address.replace(/^::ffff:(?=\d+\.)/i, '')
  return isIP(bare) !== 0 && list.check(bare, isIP(bare) === 4 ? 'ipv4' : 'ipv6')
}

function readNetwork(text: string): { address: string; bits: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [, address = '', bits] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const family = isIP(address)
  const widest = family === 4 ? 32 : 128
  if (family === 0 || Number(bits ?? widest) > widest) return undefined
  return { address, bits: Number(bits ?? widest), family: family === 4 ? 'ipv4' : 'ipv6' }
}
