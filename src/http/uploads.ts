// Upload slots over HTTP: ask before an upload, reserve, commit, release. A call that has nothing to add needs no body.
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { readinessOf, UploadReadiness } from '../account/readiness.ts'
import { uploadStatuses } from '../db/codes.ts'
import { misfit } from '../errors.ts'
import type { FailureCode } from '../failures.ts'
import { quotaOf, UploadQuota } from '../uploads/quota.ts'
import {
  CommitUpload,
  commit,
  getUpload,
  pageOfUploads,
  ReleaseUpload,
  ReserveUpload,
  release,
  reserve,
  Upload,
  type UploadDeps,
  usualTtlSeconds,
} from '../uploads/reservations.ts'
import { requireCaller } from './auth.ts'
import { cursorOf } from './cursors.ts'
import { failuresOf } from './openapi.ts'
import { AccountParams, accountInPath, Id, oneOrMoreOf, pageLimit, wholeNumber } from './shapes.ts'

const UploadParams = z
  .strictObject({ ...accountInPath, upload_id: Id.describe('The upload, `upl_…`') })
  .transform(({ account_id: accountId, upload_id: uploadId }) => ({ accountId, uploadId }))

/** PostgreSQL knows no year 0, and ISO 8601 writes years of more than four digits otherwise. */
const isTellable = (at: Date) => at.getUTCFullYear() > 0 && at.getUTCFullYear() < 9999

const ReadinessQuery = z.strictObject({
  count: wholeNumber({ minimum: 1, maximum: 9999, usual: 1 }, 'How many uploads'),
  at: z.iso
    .datetime({ offset: true })
    .refine((at) => isTellable(new Date(at)), 'Send a moment of the years 1 to 9998')
    .optional()
    .describe('When; now if not given, or if it has passed'),
})

/** Optional in the schema, so that its absence has a code of its own. Visible ASCII: a header sent twice arrives as "a, b". */
const ReserveHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/)
    .optional()
    .meta({
      description:
        'One per intended upload, and the same one when the call is repeated; it belongs to the name of the API key and the account. Remembered for seven days after the slot was free again. It may stand in the body instead, as `idempotency_key`; one of the two is needed',
    }),
})

const UploadCursor = cursorOf('uploads', /^upl_[0-9a-z]{25}$/)
const UploadPage = z
  .object({
    uploads: z.array(Upload).describe('Newest first'),
    next_cursor: z.string().nullable().describe('`cursor` of the next page; null on the last one'),
  })
  .meta({ id: 'UploadPage', description: 'A page of uploads' })

const noSuchAccount: FailureCode[] = ['account_not_found', 'account_disconnected']

export const uploadRoutes: FastifyPluginAsyncZod<UploadDeps> = async (app, deps) => {
  app.get(
    '/accounts/:account_id/quota',
    {
      config: { scope: ['accounts:read', 'quota:write'] },
      schema: {
        tags: ['uploads'],
        operationId: 'getUploadQuota',
        summary: 'How many uploads are left',
        params: AccountParams,
        response: { 200: UploadQuota, ...failuresOf(noSuchAccount) },
      },
    },
    (request) => quotaOf(deps, request.params.accountId),
  )

  app.get(
    '/accounts/:account_id/readiness',
    {
      config: { scope: ['accounts:read', 'quota:write'] },
      schema: {
        tags: ['uploads'],
        operationId: 'getUploadReadiness',
        summary: 'Can this account take an upload, or several, now or later?',
        description:
          'Everything a reservation and a token read would ask, in one call. It takes nothing: another caller may be quicker.',
        params: AccountParams,
        querystring: ReadinessQuery,
        response: { 200: UploadReadiness, ...failuresOf(noSuchAccount) },
      },
    },
    (request) => {
      const { count, at } = request.query
      return readinessOf(deps, request.params.accountId, { count, at: at === undefined ? undefined : new Date(at) })
    },
  )

  app.post(
    '/accounts/:account_id/uploads',
    {
      config: { scope: 'quota:write' },
      schema: {
        tags: ['uploads'],
        operationId: 'reserveUpload',
        summary: 'Reserve an upload slot',
        description:
          'Before the upload. A repeat with the same `Idempotency-Key` gets the reservation it made while that is live or committed: 200 and `Idempotency-Replayed: true`. One that was released or has expired is refused (`upload_released`, `upload_expired`): the next attempt takes a new key. A reservation and its key are forgotten seven days after the slot was free again (by its expiry, its release, or 24 hours after the commit): then the same key makes a new reservation, and a commit answers `upload_not_found`.',
        params: AccountParams,
        headers: ReserveHeaders,
        body: ReserveUpload.nullish(),
        response: {
          200: Upload.describe('An earlier call with this key reserved it: it is live or committed'),
          201: Upload.describe('Reserved by this call'),
          ...failuresOf(
            [
              ...noSuchAccount,
              'idempotency_key_required',
              'idempotency_key_reused',
              'reauthorization_required',
              'upload_released',
              'upload_expired',
              'tiktok_unavailable',
              'upload_quota_exhausted',
            ],
            { body: true },
          ),
        },
      },
    },
    async (request, reply) => {
      const { 'idempotency-key': inHeader } = request.headers
      const inBody = request.body?.idempotency_key
      if (inHeader !== undefined && inBody !== undefined && inHeader !== inBody)
        throw misfit('validation_failed', {
          pointer: '/idempotency_key',
          detail: 'Send one key: the Idempotency-Key header and idempotency_key in the body differ.',
        })
      const idempotencyKey = inHeader ?? inBody
      if (idempotencyKey === undefined) {
        throw misfit('idempotency_key_required', {
          header: 'Idempotency-Key',
          detail: 'Send an Idempotency-Key header, or idempotency_key in the body: one per intended upload.',
        })
      }
      const wish = { idempotencyKey, ttlSeconds: request.body?.ttl_seconds ?? usualTtlSeconds }
      const { upload, replayed } = await reserve(deps, request.params.accountId, wish, actorOf(request))
      if (replayed) reply.header('idempotency-replayed', 'true')
      else reply.header('location', `/accounts/${upload.account_id}/uploads/${upload.id}`)
      return reply.code(replayed ? 200 : 201).send(upload)
    },
  )

  app.get(
    '/accounts/:account_id/uploads',
    {
      config: { scope: ['accounts:read', 'quota:write'] },
      schema: {
        tags: ['uploads'],
        operationId: 'listUploads',
        summary: 'List the uploads of an account, newest first',
        description: 'What was reserved, until seven days after its slot was free again.',
        params: AccountParams,
        querystring: z.strictObject({
          status: oneOrMoreOf(uploadStatuses),
          limit: pageLimit(50),
          cursor: UploadCursor.schema.optional(),
        }),
        response: { 200: UploadPage, ...failuresOf(noSuchAccount) },
      },
    },
    async (request) => {
      const { status, limit, cursor } = request.query
      const filter = { statuses: status ?? null, before: cursor ?? null, limit }
      const { uploads, nextId } = await pageOfUploads(deps, request.params.accountId, filter)
      return { uploads, next_cursor: nextId === null ? null : UploadCursor.write(nextId) }
    },
  )

  app.get(
    '/accounts/:account_id/uploads/:upload_id',
    {
      config: { scope: ['accounts:read', 'quota:write'] },
      schema: {
        tags: ['uploads'],
        operationId: 'getUpload',
        summary: 'Read an upload',
        params: UploadParams,
        response: { 200: Upload, ...failuresOf([...noSuchAccount, 'upload_not_found']) },
      },
    },
    (request) => getUpload(deps, request.params.accountId, request.params.uploadId),
  )

  app.post(
    '/accounts/:account_id/uploads/:upload_id/commit',
    {
      config: { scope: 'quota:write' },
      schema: {
        tags: ['uploads'],
        operationId: 'commitUpload',
        summary: 'Say that TikTok has the video',
        description:
          'Its slot stays taken for 24 hours. Also after the expiry, because the video exists: it is flagged `late` then.',
        params: UploadParams,
        body: CommitUpload.nullish(),
        response: {
          200: Upload,
          ...failuresOf([...noSuchAccount, 'upload_not_found', 'upload_released', 'upload_committed'], { body: true }),
        },
      },
    },
    (request) => {
      const { accountId, uploadId } = request.params
      return commit(deps, accountId, uploadId, { publishId: request.body?.publish_id }, actorOf(request))
    },
  )

  app.post(
    '/accounts/:account_id/uploads/:upload_id/release',
    {
      config: { scope: 'quota:write' },
      schema: {
        tags: ['uploads'],
        operationId: 'releaseUpload',
        summary: 'Give a slot back',
        description:
          "Nothing was uploaded. With TikTok's own error code TikTok is believed over our count: some close the account for uploads for a while (docs/integrating.md names them). A repeat may add the error that the first call did not tell; the first error stands.",
        params: UploadParams,
        body: ReleaseUpload.nullish(),
        response: { 200: Upload, ...failuresOf([...noSuchAccount, 'upload_not_found', 'upload_committed'], { body: true }) },
      },
    },
    (request) => {
      const { accountId, uploadId } = request.params
      return release(deps, accountId, uploadId, { tiktokError: request.body?.tiktok_error }, actorOf(request))
    },
  )
}

function actorOf(request: Parameters<typeof requireCaller>[0]) {
  const { keyId, name } = requireCaller(request)
  return { keyId, name, requestId: request.id }
}
