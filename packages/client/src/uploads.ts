// Upload slots: TikTok takes twenty videos per account in any 24 hours, so one is reserved before each upload and settled after it.
import { AccountsError, CallerError, TikTokRefusal } from './errors.ts'
import { pages } from './pages.ts'
import type { TokenOptions, Tokens } from './tokens.ts'
import { type CallOptions, readJson, type Transport } from './transport.ts'
import type { Operations, Upload, UploadQuota, UploadReadiness, VendedToken } from './wire.ts'

export interface ReserveOptions extends CallOptions {
  /** names this attempt: the same key gets the same slot, after a crash too */
  key: string
  /** how long the upload may take, 30 minutes unless said */
  ttlSeconds?: number | undefined
}

export interface RunOptions extends ReserveOptions, TokenOptions {
  /** how long to go on telling the service that TikTok has the video, five minutes unless said */
  commitBudgetMs?: number | undefined
}

export interface Reservation {
  slot: Upload
  /** an earlier call with this key reserved it */
  replayed: boolean
}

export interface UploadWork {
  token: VendedToken
  slot: Upload
  signal: AbortSignal | undefined
}

export type Done = { upload: Upload; alreadyDone: boolean }

/** A job whose slots die this often has another problem. */
const maxAttempts = 20

export class Uploads {
  readonly #transport: Transport
  readonly #tokens: Tokens

  constructor(transport: Transport, tokens: Tokens) {
    this.#transport = transport
    this.#tokens = tokens
  }

  /**
   * Reserves a slot, runs your upload with a token, and commits the slot, or releases it when the upload throws. TikTok's code is told to
   * the service if what is thrown is a `TikTokRefusal`. The work runs a second time when TikTok refuses the token with 401.
   *
   * After a crash, run it again with the same key: a slot that is still reserved is used, a dead one is followed by a new one, and what was
   * committed is not done again.
   *
   * @returns `alreadyDone` when an earlier run had committed it, and the work did not run
   * @throws what the work threw; TimeError upload_quota_exhausted with `problem.nextSlotAt`; an error with `uncommitted` when TikTok has the
   *   video and the service could not be told
   */
  async run(
    accountId: string,
    { key, ttlSeconds, minTtl, commitBudgetMs = 300_000, ...call }: RunOptions,
    work: (upload: UploadWork) => Promise<{ publishId?: string | undefined } | undefined>,
  ): Promise<Done> {
    const slot = await this.#liveSlot(accountId, { key, ttlSeconds, ...call })
    if (slot.status === 'committed') return { upload: slot, alreadyDone: true }

    let publishId: string | undefined
    try {
      const done = await this.#tokens.with(accountId, { minTtl, ...call }, (token) => work({ token, slot, signal: call.signal }))
      publishId = done?.publishId
    } catch (error) {
      const tiktokError = error instanceof TikTokRefusal ? error.code : undefined
      // Its own failure changes nothing: the slot ends by itself, and what the work threw is what matters.
      await this.release(accountId, slot.id, { tiktokError, budgetMs: call.budgetMs }).catch(() => {})
      throw error
    }
    try {
      // Without the signal: the video is there, and whoever stops now would leave it uncounted.
      return { upload: await this.commit(accountId, slot.id, { publishId, budgetMs: commitBudgetMs }), alreadyDone: false }
    } catch (error) {
      if (error instanceof AccountsError) error.uncommitted = { accountId, uploadId: slot.id, publishId }
      throw error
    }
  }

  /** A dead slot's key stays dead; the next one is made from it, so that a run after a crash finds the same. */
  async #liveSlot(accountId: string, { key, ...options }: ReserveOptions): Promise<Upload> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return (await this.reserve(accountId, { key: attempt === 1 ? key : `${key}~${attempt}`, ...options })).slot
      } catch (error) {
        const isDead = error instanceof CallerError && (error.code === 'upload_released' || error.code === 'upload_expired')
        if (!isDead || attempt === maxAttempts) throw error
      }
    }
  }

  async reserve(accountId: string, { key, ttlSeconds, ...options }: ReserveOptions): Promise<Reservation> {
    const input = { path: { accountId }, headers: { 'idempotency-key': key }, body: { ttlSeconds } }
    const heard = await this.#transport.send('reserveUpload', input, options)
    return { slot: readJson(heard) as Upload, replayed: heard.headers.get('idempotency-replayed') === 'true' }
  }

  /** TikTok has the video. Also after the slot's expiry. */
  commit(
    accountId: string,
    uploadId: string,
    { publishId, ...options }: CallOptions & { publishId?: string | undefined } = {},
  ): Promise<Upload> {
    return this.#transport.call('commitUpload', { path: { accountId, uploadId }, body: { publishId } }, options)
  }

  /** TikTok does not have the video. With TikTok's own code its word overrules the count. */
  release(
    accountId: string,
    uploadId: string,
    { tiktokError, ...options }: CallOptions & { tiktokError?: string | undefined } = {},
  ): Promise<Upload> {
    return this.#transport.call('releaseUpload', { path: { accountId, uploadId }, body: { tiktokError } }, options)
  }

  get(accountId: string, uploadId: string, options: CallOptions = {}): Promise<Upload> {
    return this.#transport.call('getUpload', { path: { accountId, uploadId } }, options)
  }

  /** Newest first; pages by itself. `status: ['reserved', 'expired']` is what was never settled. */
  list(
    accountId: string,
    { signal, budgetMs, ...query }: Omit<NonNullable<Operations['listUploads']['query']>, 'cursor'> & CallOptions = {},
  ): AsyncGenerator<Upload, void, undefined> {
    return pages(async (from) => {
      const input = { path: { accountId }, query: { limit: 200, ...query, ...from } }
      const { uploads, nextCursor } = await this.#transport.call('listUploads', input, { signal, budgetMs })
      return { items: uploads, nextCursor }
    })
  }

  quota(accountId: string, options: CallOptions = {}): Promise<UploadQuota> {
    return this.#transport.call('getUploadQuota', { path: { accountId } }, options)
  }

  /** Whether this account can take an upload, or `count` of them, now or `at` a moment: one question before the work begins. */
  readiness(
    accountId: string,
    { signal, budgetMs, ...query }: NonNullable<Operations['getUploadReadiness']['query']> & CallOptions = {},
  ): Promise<UploadReadiness> {
    return this.#transport.call('getUploadReadiness', { path: { accountId }, query }, { signal, budgetMs })
  }
}
