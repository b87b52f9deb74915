// What the domain is handed: the doors to the outside, time, and this process's own flights. Built once in app.ts; a test
// builds the same with other doors.
import type { Config } from './config.ts'
import type { Batch } from './db/batch.ts'
import type { Db } from './db/client.ts'
import type { Vended, VendRead } from './db/token-sets.ts'
import type { Decided, Reservation, ReserveOutcome } from './db/uploads.ts'
import type { Refusals } from './refusals.ts'
import type { SingleFlight } from './single-flight.ts'
import type { Log, Metrics } from './telemetry.ts'
import type { TikTok } from './tiktok/client.ts'
import type { Spill } from './vault/journal.ts'
import type { Vault } from './vault/vault.ts'

/** How long things may take. One place, because they have to fit each other: a lease outlives a whole call to TikTok. */
export interface Timings {
  /** a claim ends by itself after this; longer than TikTok's total deadline plus the record */
  leaseSeconds: number
  /** a refresh is not sent with less of its lease left than this: the call's deadline and some */
  sendMarginSeconds: number
  /** before a token is sent whose last holder's lease ran out: longer than two tries to record an answer are apart */
  lateSaveMs: number
  /** between invalid_grant and believing it: a paused holder of the lease may still write */
  graceSeconds: number
  /** how long a caller waits for a refresh before it is told to come back */
  patienceMs: number
  /** how long the web app's backend, or the browser in callback mode, waits for a code exchange: TikTok's deadline and the record */
  completionPatienceMs: number
  /** how long a connect waits for the profile: long enough for a picture to be there when the web app shows the account, short enough not to annoy */
  profilePatienceMs: number
  /** how long `verify` waits for a profile: twice this and a refresh fit into the time a request has */
  verifyPatienceMs: number
  /** the first wait after a failed refresh; doubles up to the last */
  firstBackoffSeconds: number
  lastBackoffSeconds: number
  /** a flight that has not settled by then is given up by its callers */
  flightDeadlineMs: number
}

export const timings: Timings = {
  leaseSeconds: 30,
  sendMarginSeconds: 12,
  lateSaveMs: 1000,
  graceSeconds: 60,
  patienceMs: 4000,
  completionPatienceMs: 15_000,
  profilePatienceMs: 2500,
  verifyPatienceMs: 8000,
  firstBackoffSeconds: 2,
  lastBackoffSeconds: 60,
  flightDeadlineMs: 25_000,
}

export interface Parts {
  /** this process among those that serve the same database */
  replicaId: string
  config: Config
  log: Log
  metrics: Metrics
  /** counts what is refused for a reason of security, and tells the log of it sparingly */
  refusals: Refusals
  db: Db
  vault: Vault
  spill: Spill
  tiktok: TikTok
  /** undefined: TIER_SERVICE_URL is not set, we decide ourselves */
  tierService: TierService | undefined
  timings: Timings
  /** refreshes of this process, by account */
  refreshes: SingleFlight<RefreshOutcome>
  /** code exchanges of this process, by connect session */
  exchanges: SingleFlight<void>
  /** token reads of this process: those of one moment are one statement */
  vends: Batch<VendRead, Vended | undefined>
  /** reservations of upload slots of this process, likewise */
  reservations: Batch<Reservation, Decided<ReserveOutcome>>
  /** claims whose database answer was lost, by account: the next try asks under the same attempt and finds the claim, if it was made */
  claimsInDoubt: Map<string, string>
  /** waits for a neighbour's refresh, by account: one that asks the database, however many readers wait */
  watches: SingleFlight<Sighting>
  /** answers of TikTok that are being recorded: the process does not end before they are */
  recording: Set<Promise<void>>
  /** whose answer (an account, a connect session) the database refused to take so far: held in memory and tried again */
  unsaved: Set<string>
  /** whose answer was taken late, a moment ago, and when: a claim from before that is looked at again before it is used */
  savedLate: Map<string, number>
  /** false while the vault's keys are not those of the database: then nothing is written and nobody is served */
  keyring: { fits: boolean }
  /** aborted when the process is asked to end: no new work, what is in flight is finished */
  stopping: AbortSignal
}

/** What waiting for a neighbour's refresh led to: its token set, its claim given up, or nothing within the time. */
export type Sighting = 'moved' | 'free' | 'nothing'

/** Somebody else's word on what an owner may have. */
export interface TierService {
  tierOf(ownerId: string): Promise<TierAnswer>
  close(): Promise<void>
}

/** A limit goes before a tier's own; `silent`: it did not say, in words that count. */
export type TierAnswer = { kind: 'told'; tier: string | null; accountLimit: number | null } | { kind: 'silent'; reason: string }

/** What became of one try to refresh an account's token set. Expected outcomes are values; surprises are errors. */
export type RefreshOutcome =
  /** a new token set is recorded */
  | { kind: 'refreshed' }
  /** a neighbour holds the claim: its answer will come */
  | { kind: 'yielded' }
  /** a neighbour was quicker: the token set is newer than the one we were asked to spend */
  | { kind: 'sibling_won' }
  /** nothing was spent: try again after the wait */
  | { kind: 'transient'; code: string; retryAfterSeconds: number }
  /** TikTok may have spent the token: one more try after the lease */
  | { kind: 'ambiguous'; retryAfterSeconds: number }
  /** invalid_grant, believed or in its grace time */
  | { kind: 'rejected' }
  /** TikTok refuses our client, which is no account's fault */
  | { kind: 'client_refused'; retryAfterSeconds: number }
  /** the account was disconnected or connected anew meanwhile */
  | { kind: 'discarded' }
