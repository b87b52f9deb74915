// Ends accounts at our side so that it lasts: the journal knows of it before anybody is told, and a restored backup does not bring them back.
import { disconnectAccount, type EndedAccount, findAccount } from '../db/accounts.ts'
import type { Db } from '../db/client.ts'
import type { Journal } from '../journal/journal.ts'

export interface EndDeps {
  db: Db
  journal: Pick<Journal, 'write'>
}

export type End = Parameters<typeof disconnectAccount>[1]

/** @returns false when there was nothing to end: unknown, a tombstone already, or another token set */
export async function endAccount({ db, journal }: EndDeps, end: End): Promise<boolean> {
  const ended = await disconnectAccount(db, end)
  if (ended) await writeEnd(journal, end, ended)
  return ended !== undefined
}

/** For an end that is repeated: whoever made the tombstone may have been killed before the journal had it. */
export async function confirmEnd({ db, journal }: EndDeps, accountId: string): Promise<boolean> {
  const account = await findAccount(db, accountId)
  if (account?.disconnectedAt) {
    const { statusReason, disconnectedAt } = account
    const end = { accountId, reason: statusReason ?? 'disconnected_by_owner', actor: 'service', revocationId: null }
    await writeEnd(journal, end, { ...account, generation: 0, disconnectedAt })
  }
  return account !== undefined
}

async function writeEnd(
  journal: EndDeps['journal'],
  { accountId, reason, actor, revocationId }: Pick<End, 'accountId' | 'reason' | 'actor' | 'revocationId'>,
  { generation, ownerId, accountType, attestedAt, attestationVersion, scopes, connectedAt, disconnectedAt }: EndedAccount,
): Promise<void> {
  const facts = { ownerId, accountType, attestedAt, attestationVersion, scopes, connectedAt, disconnectedAt }
  await journal.write({ kind: 'disconnected', subject: accountId, generation, body: { ...facts, reason, actor, revocationId } })
}
