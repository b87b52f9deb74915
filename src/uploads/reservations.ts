// Upload slots of a TikTok account: reserve before an upload, commit when TikTok has the video, release when the upload failed.
// A forgotten reservation expires by itself, and TikTok's own refusal overrides our count.
import { z } from 'zod'
import type { Db } from '../db/client.ts'
import { type UploadStatus, uploadStatuses } from '../db/codes.ts'
import {
  type Actor,
  commitUpload,
  type Decided,
  findUploads,
  releaseUpload,
  reserveUpload,
  type UploadRow,
} from '../db/uploads.ts'
import { ServiceError } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Config } from '../settings/config.ts'
import type { Log } from '../telemetry.ts'
import { closureOf } from './closures.ts'
import type { UploadMetrics } from './metrics.ts'
import { noAccount, quotaOf, toQuota, UploadQuota, windowSeconds } from './quota.ts'

export const usualTtlSeconds = 1800

export const Upload = z
  .object({
    id: z.string().describe('`upl_…`'),
    account_id: z.string().describe('The account it is for'),
    status: z.enum(uploadStatuses).describe('How it stands'),
    reserved_at: z.iso.datetime().describe('When the slot was taken'),
    expires_at: z.iso.datetime().describe('Commit or release before this; afterwards the slot is given to others'),
    committed_at: z.iso.datetime().nullable().describe('When it was said that TikTok has the video'),
    late: z.boolean().describe('Committed after its expiry: it counts, even past the limit'),
    publish_id: z.string().nullable().describe('What TikTok calls the upload'),
    released_at: z.iso.datetime().nullable().describe('When the slot was given back'),
    tiktok_error: z.string().nullable().describe('What TikTok refused with'),
    upload_quota: UploadQuota,
  })
  .meta({
    id: 'Upload',
    description: 'An upload and its slot',
    examples: [
      {
        id: 'upl_01k9z3m8r0000000000000000',
        account_id: 'acc_01k9z3m8r0000000000000000',
        status: 'reserved',
        reserved_at: '2026-11-22T12:00:00.000Z',
        expires_at: '2026-11-22T12:30:00.000Z',
        committed_at: null,
        late: false,
        publish_id: null,
        released_at: null,
        tiktok_error: null,
        upload_quota: { limit: 20, used: 3, reserved: 1, remaining: 16, window_seconds: 86_400, next_slot_at: null },
      },
    ],
  })
export type Upload = z.infer<typeof Upload>

export const ReserveUpload = z
  .strictObject({
    ttl_seconds: z
      .int()
      .min(1)
      .max(windowSeconds)
      .default(usualTtlSeconds)
      .describe('How long the upload may take; then the slot is free again'),
    idempotency_key: z
      .string()
      .regex(/^[\x21-\x7e]{1,255}$/)
      .optional()
      .describe('The same as the header `Idempotency-Key`, for clients that send no headers; one of the two is needed'),
  })
  .meta({ id: 'ReserveUpload', description: 'What is reserved', examples: [{ ttl_seconds: 1800 }] })

export const CommitUpload = z
  .strictObject({
    publish_id: z
      .string()
      .regex(/^[\x21-\x7e]{1,128}$/)
      .optional()
      .describe("What TikTok called the upload, for the account's timeline"),
  })
  .meta({ id: 'CommitUpload', description: 'What TikTok has', examples: [{ publish_id: 'v_inbox_file~v2.123456789' }] })

export const ReleaseUpload = z
  .strictObject({
    tiktok_error: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,64}$/)
      .optional()
      .describe('The error code TikTok refused with; some close the account for uploads for a while'),
  })
  .meta({
    id: 'ReleaseUpload',
    description: 'Why nothing was uploaded',
    examples: [{ tiktok_error: 'spam_risk_too_many_posts' }],
  })

export interface UploadDeps {
  db: Db
  config: Pick<Config, 'uploadLimitPerDay'>
  log: Log
  metrics: UploadMetrics
}

/**
 * Takes a slot until the upload is committed or released, at most for `ttlSeconds`. The same key of the same caller finds its reservation (F42),
 * until a week after the slot was free again.
 *
 * @returns the upload, and whether an earlier call made it: then it is reserved or committed
 * @throws ServiceError upload_released | upload_expired: an earlier call made it, and its slot is not taken any more
 * @throws ServiceError upload_quota_exhausted with `next_slot_at`: every slot is taken, or TikTok has closed the account for uploads
 * @throws ServiceError idempotency_key_reused: the key made another reservation
 * @throws ServiceError account_not_found | account_disconnected | reauthorization_required
 * @throws ServiceError tiktok_unavailable: TikTok refused the present token, and there is no other yet
 */
export async function reserve(
  { db, config, metrics }: Omit<UploadDeps, 'log'>,
  accountId: string,
  wish: { idempotencyKey: string; ttlSeconds: number },
  actor: Actor,
): Promise<{ upload: Upload; replayed: boolean }> {
  const limit = config.uploadLimitPerDay
  const decided = await reserveUpload(db, { accountId, uploadId: newId('upl'), ...wish, limit, actor })
  switch (decided.outcome) {
    case 'reserved':
      metrics.slots.inc({ outcome: 'reserved' })
      return { upload: decidedUpload(decided, accountId, limit), replayed: false }
    case 'repeated':
      return { upload: stillTaken(decidedUpload(decided, accountId, limit)), replayed: true }
    case 'exhausted':
      metrics.slots.inc({ outcome: decided.closedBy ? 'closed' : 'exhausted' })
      throw exhausted(decided)
    case 'key_reused':
      throw new ServiceError(
        'idempotency_key_reused',
        'Use a new Idempotency-Key: this one made a reservation with another ttl_seconds.',
      )
    case 'reauthorization_required':
      throw new ServiceError(
        'reauthorization_required',
        'Send the person through a connect session with reconnect_account_id, then reserve again.',
      )
    case 'token_refused':
      throw new ServiceError(
        'tiktok_unavailable',
        'TikTok refused the present token. Read a token, which refreshes it, then reserve again.',
        { retryAfterSeconds: 2 },
      )
    default:
      throw noAccount(decided.outcome)
  }
}

/**
 * TikTok has the video: its slot stays taken for 24 hours from now. Also accepted after the expiry, because the video exists; then
 * it is flagged `late` and counts even past the limit. Repeating it is harmless.
 *
 * @throws ServiceError upload_not_found | upload_released | account_not_found | account_disconnected
 * @throws ServiceError upload_committed: with another publish_id
 */
export async function commit(
  { db, config, log, metrics }: UploadDeps,
  accountId: string,
  uploadId: string,
  { publishId }: { publishId?: string | undefined },
  actor: Actor,
): Promise<Upload> {
  const limit = config.uploadLimitPerDay
  const decided = await commitUpload(db, { accountId, uploadId, publishId: publishId ?? null, limit, actor })
  switch (decided.outcome) {
    case 'committed':
      metrics.slots.inc({ outcome: decided.upload?.late ? 'late' : 'committed' })
      if (decided.upload?.late) log.warn('upload was committed late', { accountId, uploadId })
      return decidedUpload(decided, accountId, limit)
    case 'repeated':
      return decidedUpload(decided, accountId, limit)
    case 'released':
      throw new ServiceError('upload_released', 'This slot was given back; reserve another for the next upload.')
    case 'publish_id_differs':
      throw new ServiceError('upload_committed', 'This upload is committed with another publish_id; one slot is for one upload.')
    case 'upload_not_found':
      throw noUpload()
    default:
      throw noAccount(decided.outcome)
  }
}

/**
 * Nothing was uploaded: the slot is free again. TikTok's error, also when a repeat adds it later, overrides our count. Repeating is
 * harmless, and so is releasing an expired reservation.
 *
 * @throws ServiceError upload_not_found | upload_committed | account_not_found | account_disconnected
 */
export async function release(
  { db, config, log, metrics }: UploadDeps,
  accountId: string,
  uploadId: string,
  { tiktokError }: { tiktokError?: string | undefined },
  actor: Actor,
): Promise<Upload> {
  const limit = config.uploadLimitPerDay
  const closure = closureOf(tiktokError)
  const decided = await releaseUpload(db, { accountId, uploadId, tiktokError: tiktokError ?? null, closure, limit, actor })
  switch (decided.outcome) {
    case 'released':
      metrics.slots.inc({ outcome: 'released' })
      if (closure) metrics.closures.inc()
      if (closure && tiktokError !== undefined)
        log.warn('TikTok closed an account for uploads', { accountId, uploadId, code: tiktokError })
      return decidedUpload(decided, accountId, limit)
    case 'repeated':
      return decidedUpload(decided, accountId, limit)
    case 'committed':
      throw new ServiceError('upload_committed', 'TikTok has this video, so its slot is used for 24 hours.')
    case 'upload_not_found':
      throw noUpload()
    default:
      throw noAccount(decided.outcome)
  }
}

/** @throws ServiceError upload_not_found | account_not_found | account_disconnected */
export async function getUpload(deps: Omit<UploadDeps, 'log' | 'metrics'>, accountId: string, uploadId: string): Promise<Upload> {
  const { uploads } = await pageOfUploads(deps, accountId, { uploadId, statuses: null, before: null, limit: 1 })
  const [upload] = uploads
  if (!upload) throw noUpload()
  return upload
}

/**
 * One page of an account's uploads, newest first, each with the quota as it is now.
 *
 * @returns nextId null on the last page
 * @throws ServiceError account_not_found | account_disconnected
 */
export async function pageOfUploads(
  deps: Omit<UploadDeps, 'log' | 'metrics'>,
  accountId: string,
  filter: { uploadId?: string; statuses: readonly UploadStatus[] | null; before: string | null; limit: number },
): Promise<{ uploads: Upload[]; nextId: string | null }> {
  const quota = await quotaOf(deps, accountId)
  const rows = await findUploads(deps.db, { uploadId: null, ...filter, accountId, limit: filter.limit + 1 })
  const page = rows.slice(0, filter.limit)
  return {
    uploads: page.map((row) => toUpload(row, row.status, accountId, quota)),
    nextId: rows.length > page.length ? (page.at(-1)?.id ?? null) : null,
  }
}

/** A caller that repeats itself may start the upload only while the slot is its own. */
function stillTaken(upload: Upload): Upload {
  if (upload.status === 'released')
    throw new ServiceError(
      'upload_released',
      'The slot that this Idempotency-Key reserved was given back. Reserve another with a new key.',
    )
  if (upload.status === 'expired')
    throw new ServiceError(
      'upload_expired',
      'The slot that this Idempotency-Key reserved has expired. Commit it if TikTok has the video, else reserve with a new key.',
    )
  return upload
}

function decidedUpload({ upload, judgedAt, ...quota }: Decided<string>, accountId: string, limit: number): Upload {
  if (!upload || !judgedAt) throw new Error('A decision that succeeded has its upload')
  const expired = upload.expiresAt <= judgedAt
  const status = upload.committedAt ? 'committed' : upload.releasedAt ? 'released' : expired ? 'expired' : 'reserved'
  return toUpload(upload, status, accountId, toQuota(quota, limit))
}

function toUpload(upload: UploadRow, status: UploadStatus, accountId: string, quota: UploadQuota): Upload {
  return {
    id: upload.id,
    account_id: accountId,
    status,
    reserved_at: upload.reservedAt.toISOString(),
    expires_at: upload.expiresAt.toISOString(),
    committed_at: upload.committedAt?.toISOString() ?? null,
    late: upload.late,
    publish_id: upload.publishId,
    released_at: upload.releasedAt?.toISOString() ?? null,
    tiktok_error: upload.tiktokError,
    upload_quota: quota,
  }
}

function exhausted({ freeAt, judgedAt, closedBy }: Decided<string>): ServiceError {
  if (!freeAt || !judgedAt) throw new Error('A refusal knows when to come back')
  const detail = closedBy
    ? 'TikTok itself refuses uploads of this account for now; try again at next_slot_at.'
    : 'Every upload slot of this account is taken; try again at next_slot_at.'
  return new ServiceError('upload_quota_exhausted', detail, {
    retryAfterSeconds: (freeAt.getTime() - judgedAt.getTime()) / 1000,
    facts: { next_slot_at: freeAt.toISOString() },
  })
}

const noUpload = () => new ServiceError('upload_not_found', 'Check the upload id and the account it was reserved for.')
