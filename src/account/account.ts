// An account as callers see it: whose it is, what it looks like, what was granted and how it is doing.
import { z } from 'zod'
import { everything, type Reach } from '../access/reach.ts'
import { type AccountRow, type Doer, findAccount, listAccounts, readTimeline, setLabel } from '../db/accounts.ts'
import type { Db } from '../db/client.ts'
import { type AccountStatus, accountStatuses, accountTypes, statusReasons } from '../db/codes.ts'
import { noOwner } from '../db/owners.ts'
import { findAvatar } from '../db/profiles.ts'
import { accountNotFound, ServiceError } from '../errors.ts'
import { growingList } from '../growing-list.ts'
import type { Config } from '../settings/config.ts'
import { scopeOfField } from '../tiktok/user-info.ts'
import { type QuotaDeps, quotasOf, UploadQuota } from '../uploads/quota.ts'
import { AccountHealth, healthOf } from './health.ts'

const nullableTime = z.iso.datetime().nullable()

/** null: TikTok did not say, or `unavailable` names the scope that is missing. */
const profileFields = {
  username: z.string().nullable().describe('The @handle; null without user.info.profile'),
  display_name: z
    .string()
    .nullable()
    .describe('The name that people see at TikTok; null too where there is nothing of it to see'),
  avatar_url: z.url().nullable().describe("Our own copy: TikTok's URLs die within hours"),
  follower_count: z.int().nullable().describe('null without user.info.stats'),
  is_verified: z.boolean().nullable().describe("TikTok's verified badge, which says nothing about the account type"),
}
type ProfileField = keyof typeof profileFields
const profileFieldNames = Object.keys(profileFields) as [ProfileField, ...ProfileField[]]

export const Account = z
  .object({
    id: z.string().describe('`acc_…`'),
    owner_id: z
      .string()
      .nullable()
      .describe(
        "The caller's own id of the person or team that it belongs to; null on the tombstones of an owner who was erased",
      ),
    open_id: z.string().nullable().describe('The person at TikTok, for this app; null once disconnected'),
    label: z.string().nullable().describe('What the owner calls it'),
    status: z.enum(accountStatuses).describe('Whether tokens of it are handed out'),
    status_reason: growingList(statusReasons, 'Why it is not active; null while it is').nullable(),
    profile: z
      .object({
        ...profileFields,
        fetched_at: nullableTime.describe('The age of all of the above'),
        unavailable: z
          .partialRecord(z.enum(profileFieldNames), z.string())
          .describe(
            'Fields that TikTok does not tell, because a scope was not granted or TikTok refuses the field, each with its scope',
          ),
      })
      .meta({ id: 'AccountProfile', description: 'What TikTok shows of the person' }),
    account_type: z
      .object({
        value: z.enum(accountTypes).describe('The type that the person named'),
        source: z.literal('self_attested').describe('The person says so; TikTok tells this app neither type nor age'),
        attested_at: z.iso.datetime().describe('When the person said so'),
        wording: z.string().describe('The version of the sentence they agreed to, and its language where the page asked'),
      })
      .meta({ id: 'AccountType', description: 'Creator or business, as the person says it' }),
    age_confirmed_at: z.iso.datetime().describe('When the person confirmed being 18 or older'),
    scopes: z.array(z.string()).describe('What the person granted'),
    missing_scopes: z.array(z.string()).describe('What was asked for and not granted'),
    token: z
      .object({
        generation: z.int().describe('Counts the token sets of this account'),
        expires_at: z.iso.datetime().describe('When the access token ends'),
        refresh_expires_at: nullableTime.describe('When the refresh token ends; null when TikTok named no end'),
        refreshed_at: z.iso.datetime().describe('When this token set came'),
      })
      .meta({ id: 'TokenState', description: 'About the token, never the token' })
      .nullable()
      .describe('About the token, never the token; null once disconnected'),
    health: AccountHealth,
    upload_quota: UploadQuota,
    connected_at: z.iso.datetime().describe('When it was connected, the last time'),
    disconnected_at: nullableTime.describe('When it was disconnected; null while it is not'),
  })
  .meta({
    id: 'Account',
    description: 'An account: whose it is, what it looks like, what was granted and how it is doing',
    examples: [
      {
        id: 'acc_01k9z3m8r000000000000000',
        owner_id: 'user_42',
        open_id: '7e1a0000-0000-4000-8000-000000000001',
        label: 'Main shop',
        status: 'active',
        status_reason: null,
        profile: {
          username: 'fakechef',
          display_name: 'Fake Chef',
          avatar_url: 'https://oauth.example.com/accounts/acc_01k9z3m8r000000000000000/avatar',
          follower_count: null,
          is_verified: false,
          fetched_at: '2026-11-22T12:00:01.000Z',
          unavailable: { follower_count: 'user.info.stats' },
        },
        account_type: {
          value: 'creator',
          source: 'self_attested',
          attested_at: '2026-11-22T12:00:00.000Z',
          wording: '2026-11-27',
        },
        age_confirmed_at: '2026-11-22T12:00:00.000Z',
        scopes: ['user.info.basic', 'user.info.profile', 'video.upload'],
        missing_scopes: ['user.info.stats'],
        token: {
          generation: 7,
          expires_at: '2026-11-22T14:00:00.000Z',
          refresh_expires_at: '2027-05-21T12:00:00.000Z',
          refreshed_at: '2026-11-22T12:00:00.000Z',
        },
        health: {
          verdict: 'healthy',
          reasons: [{ code: 'scope_not_granted', mended_by: 'user' }],
          reauthorize_by: '2027-05-21T12:00:00.000Z',
          checked_at: '2026-11-22T12:00:02.000Z',
        },
        upload_quota: { limit: 20, used: 3, reserved: 1, remaining: 16, window_seconds: 86_400, next_slot_at: null },
        connected_at: '2026-11-22T12:00:00.000Z',
        disconnected_at: null,
      },
    ],
  })
export type Account = z.infer<typeof Account>

/** What it takes to show an account. */
export interface AccountDeps extends QuotaDeps {
  config: Pick<Config, 'publicUrl' | 'uploadLimitPerDay'> & { tiktok: Pick<Config['tiktok'], 'scopes'> }
}

/** @throws ServiceError account_not_found */
export async function getAccount(deps: AccountDeps, id: string): Promise<Account> {
  const row = await findAccount(deps.db, id)
  if (!row) throw accountNotFound()
  const [account] = await toAccounts(deps, [row])
  if (!account) throw accountNotFound()
  return account
}

/** One page, oldest first. @returns nextCursor null on the last page */
export async function pageOfAccounts(
  deps: AccountDeps,
  filter: {
    ownerId?: string | undefined
    statuses?: readonly AccountStatus[] | undefined
    limit: number
    cursor?: string | undefined
    reach?: Reach
  },
): Promise<{ accounts: Account[]; nextCursor: string | null }> {
  const { ownerId = null, statuses = null, limit, cursor = null, reach = everything } = filter
  const rows = await listAccounts(deps.db, { ownerId, statuses, after: cursor, limit: limit + 1, reach })
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { accounts: await toAccounts(deps, page), nextCursor: rows.length > limit && last ? last.id : null }
}

/** @throws ServiceError account_not_found | account_disconnected */
export async function labelAccount(deps: AccountDeps, id: string, label: string | null, by: Doer): Promise<Account> {
  const changed = await setLabel(deps.db, id, label, by)
  const account = await getAccount(deps, id)
  if (!changed) throw new ServiceError('account_disconnected', 'A disconnected account has no label; connect it again first.')
  return account
}

/** @throws ServiceError account_not_found: no such account, or no picture of it | account_disconnected */
export async function pictureOf({ db }: { db: Db }, id: string): Promise<{ contentType: string; etag: string; picture: Buffer }> {
  const avatar = await findAvatar(db, id)
  if (avatar) return avatar
  const row = await findAccount(db, id)
  if (!row) throw accountNotFound()
  if (row.status === 'disconnected')
    throw new ServiceError('account_disconnected', 'The picture of a disconnected account is erased; connect the account again.')
  throw new ServiceError('avatar_not_found', 'TikTok gave no picture for this account: show none while `avatar_url` is null.')
}

/** What happened to the account, newest first. @throws ServiceError account_not_found */
export async function timelineOf({ db }: { db: Db }, id: string, page: { before?: number | undefined; limit: number }) {
  const rows = await readTimeline(db, id, page.before ?? null, page.limit + 1)
  if (rows.length === 0 && !(await findAccount(db, id))) throw accountNotFound()
  const entries = rows.slice(0, page.limit)
  const last = entries.at(-1)
  return { entries, nextCursor: rows.length > page.limit && last ? String(last.seq) : null }
}

async function toAccounts(deps: AccountDeps, rows: AccountRow[]): Promise<Account[]> {
  const quotas = await quotasOf(
    deps,
    rows.map((row) => row.id),
  )
  return rows.map((row) => toAccount(deps, row, quotas))
}

function toAccount({ config }: AccountDeps, row: AccountRow, quotas: ReadonlyMap<string, UploadQuota>): Account {
  const missingScopes = row.status === 'disconnected' ? [] : config.tiktok.scopes.filter((scope) => !row.scopes.includes(scope))
  const unavailable = row.status === 'disconnected' ? {} : missingFields(row)
  // A scope that was taken back hides its fields at once, not only when the profile is fetched again.
  const told = <T>(field: ProfileField, value: T): T | null => (field in unavailable ? null : value)
  const quota = quotas.get(row.id)
  if (!quota) throw new Error('Every account has a quota')
  return {
    id: row.id,
    owner_id: row.ownerId === noOwner ? null : row.ownerId,
    open_id: row.openId,
    label: row.label,
    status: row.status,
    status_reason: row.statusReason,
    profile: {
      username: told('username', row.username),
      display_name: told('display_name', row.displayName),
      avatar_url: told('avatar_url', row.hasAvatar ? `${config.publicUrl}/accounts/${row.id}/avatar` : null),
      follower_count: told('follower_count', row.followerCount),
      is_verified: told('is_verified', row.isVerified),
      fetched_at: row.profileFetchedAt?.toISOString() ?? null,
      unavailable,
    },
    account_type: {
      value: row.accountType,
      source: row.attestationSource === 'self_attested' ? row.attestationSource : 'self_attested',
      attested_at: row.attestedAt.toISOString(),
      wording: row.attestationVersion,
    },
    age_confirmed_at: row.ageConfirmedAt.toISOString(),
    scopes: row.scopes,
    missing_scopes: missingScopes,
    token:
      row.generation === null || row.accessExpiresAt === null || row.refreshedAt === null
        ? null
        : {
            generation: row.generation,
            expires_at: row.accessExpiresAt.toISOString(),
            refresh_expires_at: row.refreshExpiresAt?.toISOString() ?? null,
            refreshed_at: row.refreshedAt.toISOString(),
          },
    health: healthOf(row, missingScopes),
    upload_quota: quota,
    connected_at: row.connectedAt.toISOString(),
    disconnected_at: row.disconnectedAt?.toISOString() ?? null,
  }
}

function missingFields({ scopes, refusedFields }: AccountRow): Partial<Record<ProfileField, string>> {
  const missing = profileFieldNames.filter((field) => !scopes.includes(scopeOfField[field]) || refusedFields?.includes(field))
  return Object.fromEntries(missing.map((field) => [field, scopeOfField[field]]))
}
