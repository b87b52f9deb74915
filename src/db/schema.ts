// The tables. Everything sealed is text that only the vault can open; everything that decides by time is a timestamptz
// written and compared by the database's own clock, so that a replica with a wrong clock cannot hurt (F29).
//
// This is the only statement of a table: `npx drizzle-kit generate` writes the migrations from it, and rows are typed from it. Only types
// of it are used at run time, so that the service does not load Drizzle's builder. drizzle-kit cannot say PARTITION BY and composite
// types; those stand in the migrations by hand.
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core'
import type { Branding } from '../display/branding.ts'
import {
  accountStatuses,
  accountTypes,
  brakedEndpoints,
  breakerReasons,
  completions,
  prompts,
  reconciledOutcomes,
  statusReasons,
  storedSessionStatuses,
  type TimelineKind,
  timelineKinds,
} from './codes.ts'

const at = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })
const bytes = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
const xid8 = customType<{ data: string }>({ dataType: () => 'xid8' })

export const owners = pgTable('owners', {
  id: text('id').primaryKey(),
  /** null: DEFAULT_TIER decides */
  tier: text('tier'),
  createdAt: at('created_at').notNull().defaultNow(),
  updatedAt: at('updated_at').notNull().defaultNow(),
})

export const accounts = pgTable(
  'accounts',
  {
    id: text('id').primaryKey(),
    ownerId: text('owner_id')
      .notNull()
      .references(() => owners.id),
    /** null once disconnected: a tombstone keeps no personal data, and what else is known of the person stands in `profiles` */
    openId: text('open_id'),
    /** whose account it is, and of which person, as it was connected; null once disconnected */
    sealedIdentity: text('sealed_identity'),
    label: text('label'),
    status: text('status', { enum: accountStatuses }).notNull(),
    statusReason: text('status_reason', { enum: statusReasons }),
    statusChangedAt: at('status_changed_at').notNull().defaultNow(),
    accountType: text('account_type', { enum: accountTypes }).notNull(),
    attestedAt: at('attested_at').notNull(),
    attestationVersion: text('attestation_version').notNull(),
    /** who says so; TikTok tells this app nothing, so it is the person */
    attestationSource: text('attestation_source').notNull().default('self_attested'),
    ageConfirmedAt: at('age_confirmed_at').notNull(),
    scopes: text('scopes').array().notNull(),
    /** when the background looks at the profile again */
    profileDueAt: at('profile_due_at'),
    /** when the present grant was given; an older authorization.removed is ignored (S53) */
    authorizedAt: at('authorized_at').notNull().defaultNow(),
    connectedAt: at('connected_at').notNull().defaultNow(),
    disconnectedAt: at('disconnected_at'),
    /** the smallest "days left" for which account.expiring was announced in this grant */
    expiryAnnouncedDays: integer('expiry_announced_days'),
  },
  (table) => [
    // One TikTok account belongs to one owner (S10).
    uniqueIndex('accounts_open_id_live').on(table.openId).where(sql`status <> 'disconnected'`),
    index('accounts_owner').on(table.ownerId, table.id),
    // Without the accounts that wait for their person: they stay due for months.
    index('accounts_profile_due').on(table.profileDueAt).where(sql`profile_due_at is not null and status = 'active'`),
    index('accounts_expiry_announced').on(table.id).where(sql`expiry_announced_days is not null`),
  ],
)

/** Tokens live apart, so that no profile or quota write can race a token write. Erased rows are deleted rows. */
export const tokenSets = pgTable(
  'token_sets',
  {
    accountId: text('account_id')
      .primaryKey()
      .references(() => accounts.id, { onDelete: 'cascade' }),
    /** counts the token sets of this account; every write but a reseal raises it by one */
    generation: integer('generation').notNull(),
    /** TikTok's app that the person granted this to: an open_id means nothing under another */
    clientKey: text('client_key').notNull(),
    sealedAccessToken: text('sealed_access_token').notNull(),
    sealedRefreshToken: text('sealed_refresh_token').notNull(),
    accessExpiresAt: at('access_expires_at').notNull(),
    /** the same, sealed: nothing is handed out after it */
    sealedExpiry: text('sealed_expiry'),
    refreshExpiresAt: at('refresh_expires_at'),
    /** expires_in as TikTok said it, or what is assumed when it said nonsense */
    lifetimeSeconds: integer('lifetime_seconds').notNull(),
    refreshedAt: at('refreshed_at').notNull().defaultNow(),
    /** the attempt whose answer made this generation: a repeat after a lost database answer recognises itself */
    savedAttemptId: text('saved_attempt_id').notNull(),
    /** the claim: who holds it and until when */
    attemptId: text('attempt_id'),
    leaseUntil: at('lease_until'),
    /** attempts that were sent, or may have been, and whose outcome nobody knows */
    unsettledAttempts: integer('unsettled_attempts').notNull().default(0),
    /** TikTok answered invalid_grant for this generation; grace runs from here (S45) */
    rejectedAt: at('rejected_at'),
    failures: integer('failures').notNull().default(0),
    /** no refresh before this, whoever asks */
    nextAttemptAt: at('next_attempt_at').notNull().defaultNow(),
    /** when the background refreshes; null: never (the person has to act). Leases and waits move it, so one index finds all work */
    dueAt: at('due_at'),
    /** coarse (an hour): tells warm accounts from cold ones without a write per read */
    lastReadAt: at('last_read_at').notNull().defaultNow(),
    /** TikTok did not take the access token of this generation: it is not handed out again */
    refusedGeneration: integer('refused_generation'),
  },
  (table) => [
    index('token_sets_due').on(table.dueAt).where(sql`due_at is not null`),
    index('token_sets_refresh_expiry').on(table.refreshExpiresAt).where(sql`due_at is not null`),
  ],
)

/**
 * The person behind a live account, and nothing else: whatever is kept of them stands in this row. It hangs on the token set, which a
 * disconnect deletes, so no column of it can survive one.
 */
export const profiles = pgTable(
  'profiles',
  {
    accountId: text('account_id')
      .primaryKey()
      .references(() => tokenSets.accountId, { onDelete: 'cascade' }),
    /** the same person over all apps of one developer */
    unionId: text('union_id'),
    username: text('username'),
    displayName: text('display_name'),
    followerCount: bigint('follower_count', { mode: 'number' }),
    isVerified: boolean('is_verified'),
    fetchedAt: at('fetched_at').notNull().defaultNow(),
    picture: bytes('picture'),
    pictureType: text('picture_type'),
    pictureEtag: text('picture_etag'),
    /** digest of the link without its signature: the same link is the same picture */
    pictureSource: text('picture_source'),
    pictureFetchedAt: at('picture_fetched_at'),
    /** what TikTok did not give at the last look although the scope was granted, by its own names of fields */
    refusedFields: text('refused_fields').array(),
  },
  (table) => [index('profiles_union_id').on(table.unionId).where(sql`union_id is not null`)],
)

export const connectSessions = pgTable(
  'connect_sessions',
  {
    id: text('id').primaryKey(),
    linkSecretHash: text('link_secret_hash').notNull().unique(),
    ownerId: text('owner_id').notNull(),
    returnUrl: text('return_url').notNull(),
    completion: text('completion', { enum: completions }).notNull(),
    accountType: text('account_type', { enum: accountTypes }),
    ageConfirmedAt: at('age_confirmed_at'),
    attestationVersion: text('attestation_version'),
    label: text('label'),
    /** who the person is in the web app, for the page */
    ownerName: text('owner_name'),
    /** the language of the page: a canonical tag of BCP 47 */
    locale: text('locale'),
    prompt: text('prompt', { enum: prompts }),
    branding: jsonb('branding').$type<Branding>(),
    reconnectAccountId: text('reconnect_account_id'),
    status: text('status', { enum: storedSessionStatuses }).notNull(),
    error: text('error'),
    accountId: text('account_id'),
    sealedCode: text('sealed_code'),
    sealedVerifier: text('sealed_verifier'),
    confirmHash: text('confirm_hash'),
    /** how often somebody tried to complete it with another confirm token */
    wrongConfirms: integer('wrong_confirms').notNull().default(0),
    attemptId: text('attempt_id'),
    leaseUntil: at('lease_until'),
    createdBy: text('created_by').notNull(),
    /** what its key may do on the page, and to which accounts if not to all of the owner: as the key stood when it made the link */
    rights: text('rights').array().notNull(),
    reachedAccountIds: text('reached_account_ids').array(),
    /** the one browser that may act on the connect page; set by its first act, never by a look */
    visitorHash: text('visitor_hash'),
    /** how often /authorize was visited with it; a session visited implausibly often is no person's */
    visits: integer('visits').notNull().default(0),
    createdAt: at('created_at').notNull().defaultNow(),
    expiresAt: at('expires_at').notNull(),
    completedAt: at('completed_at'),
    /** what the code was asked for: the required scopes alone, or all */
    requiredOnly: boolean('required_only').notNull().default(false),
  },
  (table) => [
    index('connect_sessions_expiry').on(table.expiresAt),
    index('connect_sessions_owner').on(table.ownerId, table.id),
    // Few at any time: codes and verifiers are erased when a session ends.
    index('connect_sessions_secrets').on(table.expiresAt).where(sql`sealed_code is not null or sealed_verifier is not null`),
  ],
)

/** One row per visit of /authorize: a fresh state each time, so that a prefetch or a link preview spends nothing (S01, S14). */
export const authorizationRequests = pgTable(
  'authorization_requests',
  {
    stateHash: text('state_hash').primaryKey(),
    sessionId: text('session_id')
      .notNull()
      .references(() => connectSessions.id, { onDelete: 'cascade' }),
    bindingHash: text('binding_hash').notNull(),
    sealedVerifier: text('sealed_verifier'),
    /** the person asked to reconnect this account on the connect page; it travels with the state, so that two tabs do not mix */
    reconnectAccountId: text('reconnect_account_id'),
    createdAt: at('created_at').notNull().defaultNow(),
    expiresAt: at('expires_at').notNull(),
    consumedAt: at('consumed_at'),
    /** TikTok was asked for the required scopes alone */
    requiredOnly: boolean('required_only').notNull().default(false),
  },
  (table) => [
    index('authorization_requests_session').on(table.sessionId),
    index('authorization_requests_expiry').on(table.expiresAt),
  ],
)

export const apiKeys = pgTable('api_keys', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  secretHash: text('secret_hash').notNull(),
  scopes: text('scopes').array().notNull(),
  /** how far it reaches; null: not narrowed in this way */
  ownerPrefixes: text('owner_prefixes').array(),
  accountIds: text('account_ids').array(),
  networks: text('networks').array(),
  /** all of this, sealed when it was made: a row that somebody else wrote does not fit its own */
  sealedFacts: text('sealed_facts'),
  createdAt: at('created_at').notNull().defaultNow(),
  expiresAt: at('expires_at'),
  revokedAt: at('revoked_at'),
  lastUsedAt: at('last_used_at'),
})

/** The outbox and the feed. `xid` orders it: a row is shown once every transaction before its own has ended, so no reader skips one. */
export const events = pgTable(
  'events',
  {
    seq: bigint('seq', { mode: 'number' }).generatedAlwaysAsIdentity(),
    xid: xid8('xid').notNull().default(sql`pg_current_xact_id()`),
    id: text('id').notNull().unique().default(sql`'evt_' || replace(gen_random_uuid()::text, '-', '')`),
    type: text('type').notNull(),
    accountId: text('account_id'),
    data: jsonb('data').$type<Record<string, unknown>>().notNull(),
    occurredAt: at('occurred_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.xid, table.seq] }),
    index('events_account').on(table.accountId, table.xid, table.seq),
    index('events_owner').on(sql`(data ->> 'owner_id')`, table.xid, table.seq),
    index('events_type').on(table.type, table.xid, table.seq),
  ],
)

/** Grants that are to die at TikTok and have not yet: disconnects while TikTok was away, grants we refused, late refreshes. */
export const revocations = pgTable(
  'revocations',
  {
    id: text('id').primaryKey(),
    accountId: text('account_id'),
    /** instead of an account: whose grant was refused */
    sessionId: text('session_id'),
    /** whose account it was, until this is settled: so that an erased owner can be told what is still pending */
    ownerId: text('owner_id'),
    /** SHA-256 of the open_id: a revocation ends every grant of the person, so it is dropped when they connect again */
    tiktokUser: bytes('tiktok_user'),
    reason: text('reason').notNull(),
    /** what the tokens are sealed for: of a disconnected account as they stood in its token set, so that nothing had to be opened */
    subject: text('subject').notNull(),
    generation: integer('generation').notNull(),
    sealedAccessToken: text('sealed_access_token').notNull(),
    sealedRefreshToken: text('sealed_refresh_token').notNull(),
    accessExpiresAt: at('access_expires_at').notNull(),
    attempts: integer('attempts').notNull().default(0),
    nextAttemptAt: at('next_attempt_at').notNull().defaultNow(),
    createdAt: at('created_at').notNull().defaultNow(),
  },
  (table) => [
    check('revocations_subject', sql`num_nonnulls(account_id, session_id) = 1`),
    index('revocations_due').on(table.nextAttemptAt),
    index('revocations_owner').on(table.ownerId).where(sql`owner_id is not null`),
    index('revocations_user').on(table.tiktokUser),
  ],
)

/**
 * One per endpoint of TikTok: open until when, and why (F09, F10, F19). `token` stops refreshes, `user_info` stops looks at profiles; the
 * brakes `token_refused` and `user_info_refused` do so because too many are refused (F66).
 */
export const circuitBreakers = pgTable('circuit_breakers', {
  name: text('name').primaryKey(),
  reason: text('reason', { enum: breakerReasons }),
  failures: integer('failures').notNull().default(0),
  openUntil: at('open_until').notNull().default(sql`'-infinity'`),
})

/** Which tokens TikTok refused lately, each once: counted by the brake, and taken back when it holds (F66). */
export const refusals = pgTable(
  'refusals',
  {
    endpoint: text('endpoint', { enum: brakedEndpoints }).notNull(),
    accountId: text('account_id')
      .notNull()
      .references(() => tokenSets.accountId, { onDelete: 'cascade' }),
    generation: integer('generation').notNull(),
    refusedAt: at('refused_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.endpoint, table.accountId, table.generation] }),
    index('refusals_lately').on(table.endpoint, table.refusedAt),
  ],
)

/** How many tokens TikTok took, per ten seconds and replica: what the refusals are measured against. */
export const acceptances = pgTable(
  'acceptances',
  {
    endpoint: text('endpoint', { enum: brakedEndpoints }).notNull(),
    slot: at('slot').notNull(),
    replicaId: text('replica_id').notNull(),
    count: integer('count').notNull(),
  },
  (table) => [primaryKey({ columns: [table.endpoint, table.slot, table.replicaId] })],
)

/** How many refreshes each replica has under way; together they stay so few that the brake holds before many were asked. */
export const admissions = pgTable('admissions', {
  replicaId: text('replica_id').primaryKey(),
  inFlight: integer('in_flight').notNull(),
  reportedAt: at('reported_at').notNull(),
})

/** One canary per key id: tells a wrong key under a known id before anything is written with it (S20). */
export const vaultKeys = pgTable('vault_keys', {
  keyId: text('key_id').primaryKey(),
  sealedCanary: text('sealed_canary').notNull(),
  /** how often all replicas have sealed with it, near enough: random nonces allow 2^32 */
  seals: bigint('seals', { mode: 'number' }).notNull().default(0),
  createdAt: at('created_at').notNull().defaultNow(),
})

/** TikTok's notices, kept before they are answered. The hash of the body makes a replay a no-op (S52). */
export const notices = pgTable(
  'notices',
  {
    bodyHash: text('body_hash').primaryKey(),
    event: text('event').notNull(),
    /** until it is settled: then the account stands for the person; longer in one that nobody here understood, until they are disconnected */
    openId: text('open_id'),
    accountId: text('account_id'),
    saidAt: at('said_at').notNull(),
    /** the bytes that were signed, until nobody needs them any more */
    body: bytes('body'),
    receivedAt: at('received_at').notNull().defaultNow(),
    attempts: integer('attempts').notNull().default(0),
    nextAttemptAt: at('next_attempt_at').notNull().defaultNow(),
    settledAt: at('settled_at'),
    outcome: text('outcome'),
    /** a hash that knows the draft again whose share this notice freed: it may be posted more than once, and is pending no more */
    draftHash: text('draft_hash'),
  },
  (table) => [
    index('notices_unsettled').on(table.nextAttemptAt).where(sql`settled_at is null`),
    index('notices_received').on(table.receivedAt),
    // Those of a person who is disconnected lose the person; a settled one has none unless it was kept.
    index('notices_person').on(table.openId).where(sql`open_id is not null`),
    index('notices_draft').on(table.draftHash).where(sql`draft_hash is not null`),
  ],
)

/** Who gets events pushed, and how far along the feed each is. Known by a hash of the URL; the URL itself is configuration. */
export const eventEndpoints = pgTable('event_endpoints', {
  id: text('id').primaryKey(),
  origin: text('origin').notNull(),
  /** a hash of URL and secrets: a change of it is a new start after a 410 */
  fingerprint: text('fingerprint').notNull(),
  /** the last event of the feed that was turned into a delivery */
  xid: xid8('xid').notNull(),
  seq: bigint('seq', { mode: 'number' }).notNull(),
  createdAt: at('created_at').notNull().defaultNow(),
  /** the receiver said 410 */
  disabledAt: at('disabled_at'),
})

/** One event for one endpoint, until it was taken or given up. Goes with its event. */
export const deliveries = pgTable(
  'deliveries',
  {
    eventId: text('event_id')
      .notNull()
      .references(() => events.id, { onDelete: 'cascade' }),
    endpointId: text('endpoint_id')
      .notNull()
      .references(() => eventEndpoints.id, { onDelete: 'cascade' }),
    attempts: integer('attempts').notNull().default(0),
    /** when it is tried next; while somebody tries it, when its lease ends */
    nextAttemptAt: at('next_attempt_at').notNull().defaultNow(),
    lastCode: text('last_code'),
    createdAt: at('created_at').notNull().defaultNow(),
    deliveredAt: at('delivered_at'),
    deadAt: at('dead_at'),
  },
  (table) => [
    primaryKey({ columns: [table.eventId, table.endpointId] }),
    index('deliveries_due').on(table.endpointId, table.nextAttemptAt).where(sql`delivered_at is null and dead_at is null`),
    index('deliveries_dead').on(table.deadAt).where(sql`dead_at is not null`),
  ],
)

// ---- Upload slots ---------------------------------------------------------------------------------------------------
// A slot is not a row: it is taken by every upload whose hold has not ended, and `reserve_upload` counts those under a lock
// per TikTok account. Neither table refers to accounts: TikTok counts per person, so a disconnect, a reconnect or an erased
// account must not empty the window.

/** Every reservation and what became of it; purged a week after its hold ended. */
export const uploads = pgTable(
  'uploads',
  {
    id: text('id').primaryKey(),
    accountId: text('account_id').notNull(),
    /** SHA-256 of the open_id: the same for every account of ours that this person ever was */
    tiktokUser: bytes('tiktok_user').notNull(),
    idempotencyKey: text('idempotency_key').notNull(),
    /** whose idempotency key it is: the name of the API key, so that it outlives a change of the key itself */
    caller: text('caller').notNull(),
    ttlSeconds: integer('ttl_seconds').notNull(),
    reservedBy: text('reserved_by').notNull(),
    reservedAt: at('reserved_at').notNull(),
    expiresAt: at('expires_at').notNull(),
    /** while this is ahead, a slot is taken: first the expiry, from a commit on 24 hours, from a release on nothing */
    heldUntil: at('held_until').notNull(),
    committedAt: at('committed_at'),
    /** committed after its expiry, when its slot may have been given away: the one way past the limit */
    late: boolean('late').notNull().default(false),
    publishId: text('publish_id'),
    releasedAt: at('released_at'),
    tiktokError: text('tiktok_error'),
  },
  (table) => [
    uniqueIndex('uploads_idempotency_key').on(table.accountId, table.caller, table.idempotencyKey),
    index('uploads_held').on(table.tiktokUser, table.heldUntil),
    index('uploads_purge').using('brin', table.reservedAt),
  ],
)

/** What TikTok said about uploads of one of its accounts, and what was announced; only for those it said something about. */
export const uploadGates = pgTable(
  'upload_gates',
  {
    tiktokUser: bytes('tiktok_user').primaryKey(),
    /** TikTok's refusal, believed over our counter: no slot before this */
    closedUntil: at('closed_until').notNull().default(sql`'-infinity'`),
    closedBy: text('closed_by'),
    /** refusals without an upload in between; each doubles the wait */
    refusals: integer('refusals').notNull().default(0),
    refusedAt: at('refused_at'),
    /** the next_slot_at of the last announced exhaustion; null once a slot was had that was not the last one */
    exhaustedUntil: at('exhausted_until'),
  },
  (table) => [
    index('upload_gates_closed').on(table.closedUntil).where(sql`closed_until > '-infinity'`),
    index('upload_gates_exhausted').on(table.exhaustedUntil).where(sql`exhausted_until is not null`),
  ],
)

// ---- Callers and operators ------------------------------------------------------------------------------------------

/** Which processes serve this database, and which vault keys they can open: nothing is sealed with a key that one of them lacks. */
export const replicas = pgTable('replicas', {
  id: text('id').primaryKey(),
  startedAt: at('started_at').notNull().defaultNow(),
  seenAt: at('seen_at').notNull().defaultNow(),
  keyIds: text('key_ids').array().notNull(),
  primaryKeyId: text('primary_key_id').notNull(),
  /** what the journal on its disk is sealed with: these keys are needed even when no row is left on them */
  journalKeyIds: text('journal_key_ids').array().notNull(),
})

/** Whoever may delete from the audit owns it, and is who runs the commands: nobody else writes in an operator's name. */
const operatorsOwn = sql`actor <> 'operator' or has_table_privilege(session_user, 'public.audit_log', 'DELETE')`

/** What was changed that belongs to no account: API keys, vault keys, an emergency. Only ever added to. */
export const auditLog = pgTable(
  'audit_log',
  {
    seq: bigint('seq', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
    at: at('at').notNull().defaultNow(),
    actor: text('actor').notNull(),
    action: text('action').notNull(),
    object: text('object').notNull(),
    detail: text('detail'),
  },
  (table) => [
    check('audit_log_operator', operatorsOwn),
    index('audit_log_at').using('brin', table.at),
    index('audit_log_actor').on(table.actor, table.at),
    index('audit_log_object').on(table.object, table.at),
  ],
)

/** Every access token that was handed out: who, whose, which (S27). Partitioned by day, so that retention is dropping a partition. */
export const tokenReads = pgTable(
  'token_reads',
  {
    at: at('at').notNull().defaultNow(),
    accountId: text('account_id').notNull(),
    keyId: text('key_id').notNull(),
    generation: integer('generation').notNull(),
    degraded: boolean('degraded').notNull().default(false),
    requestId: text('request_id').notNull(),
  },
  (table) => [
    index('token_reads_at').using('brin', table.at),
    index('token_reads_account').on(table.accountId, table.at),
    index('token_reads_key').on(table.keyId, table.at),
  ],
)

const kindsOfTimeline = Object.keys(timelineKinds) as [TimelineKind, ...TimelineKind[]]

/** Why an account is in its state, in plain codes; the refresh journal is a part of it. Partitioned by day. */
export const timeline = pgTable(
  'timeline',
  {
    seq: bigint('seq', { mode: 'number' }).generatedAlwaysAsIdentity(),
    at: at('at').notNull().defaultNow(),
    accountId: text('account_id'),
    /** instead of an account: a grant of this connect session was refused, so there never was an account */
    sessionId: text('session_id'),
    kind: text('kind', { enum: kindsOfTimeline }).notNull(),
    code: text('code'),
    generation: integer('generation'),
    attemptId: text('attempt_id'),
    actor: text('actor').notNull(),
    /** done on the hosted page: the connect session, and the key that made its link */
    viaSessionId: text('via_session_id'),
    viaKeyId: text('via_key_id'),
    requestId: text('request_id'),
  },
  (table) => [
    check('timeline_operator', operatorsOwn),
    index('timeline_at').using('brin', table.at),
    check('timeline_subject', sql`num_nonnulls(account_id, session_id) = 1`),
    index('timeline_account').on(table.accountId, table.at),
    index('timeline_session').on(table.sessionId, table.at).where(sql`session_id is not null`),
    // "What did this actor change?" Most rows are the service's own and are found by their account.
    index('timeline_actor').on(table.actor, table.at).where(sql`actor <> 'service'`),
  ],
)

/** The audit's own seal: a hash over the rows of a day and the day before, sealed when the day is over. Only ever added to. */
export const auditDays = pgTable('audit_days', {
  day: text('day').primaryKey(),
  rows: integer('rows').notNull(),
  hash: text('hash').notNull(),
  sealedHash: text('sealed_hash').notNull(),
  closedAt: at('closed_at').notNull().defaultNow(),
})

/** How far AUDIT_STREAM has the audit, by a hash of where it leads; and who writes it. */
export const auditStreams = pgTable('audit_streams', {
  id: text('id').primaryKey(),
  atMicros: text('at_micros').notNull(),
  source: integer('source').notNull(),
  key: text('key').notNull(),
  holder: text('holder').notNull(),
  leaseUntil: at('lease_until').notNull(),
})

/** Which accounts a key has read in the last ten minutes; written only while READ_CAP_ACCOUNTS_PER_KEY is set. */
export const readWindows = pgTable(
  'read_windows',
  {
    keyId: text('key_id').notNull(),
    accountId: text('account_id').notNull(),
    readAt: at('read_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.keyId, table.accountId] }),
    // The oldest of a key go first.
    index('read_windows_oldest').on(table.keyId, table.readAt),
  ],
)

/** How many rows of `read_windows` a key has, so that nobody counts them at each read. Its row is the lock of the key (admit_read.sql). */
export const readTotals = pgTable('read_totals', {
  keyId: text('key_id').primaryKey(),
  accounts: integer('accounts').notNull(),
})

// ---- Figures for the metrics ------------------------------------------------------------------------------------------

/** How many accounts there are by status and reason: the sum of the deltas. Added to by triggers (tally_account.sql), folded now and then. */
export const accountTallies = pgTable('account_tallies', {
  seq: bigint('seq', { mode: 'number' }).generatedAlwaysAsIdentity().primaryKey(),
  status: text('status').notNull(),
  /** `none` where the account has no reason */
  reason: text('reason').notNull(),
  delta: bigint('delta', { mode: 'number' }).notNull(),
})

/** One row: what one replica counted for all of them, and until when it is its turn. */
export const fleetFigures = pgTable('fleet_figures', {
  id: integer('id').primaryKey().default(1),
  figures: jsonb('figures').$type<object>(),
  measuredAt: at('measured_at').notNull().defaultNow(),
  leaseUntil: at('lease_until').notNull().default(sql`'-infinity'`),
})

// ---- Restores ---------------------------------------------------------------------------------------------------------
// The rotation journal lies outside the database and knows how far it was. What is here tells whether it went back, and what
// is done about it until every journal has been replayed (F28).

/** One row. Tells this database, with every copy and every restore of it, from others: a journal belongs to one. */
export const epoch = pgTable('epoch', {
  databaseId: text('database_id').primaryKey().default(sql`gen_random_uuid()::text`),
  createdAt: at('created_at').notNull().defaultNow(),
})

/** How far each journal's process had counted here. Only that process writes its row, so a lower mark than it remembers is an older database. */
export const journals = pgTable('journals', {
  id: text('id').primaryKey(),
  mark: bigint('mark', { mode: 'number' }).notNull(),
  startedAt: at('started_at').notNull().defaultNow(),
  seenAt: at('seen_at').notNull().defaultNow(),
})

/** While one is open no refresh token and no code is spent, on any replica. */
export const recoveries = pgTable(
  'recoveries',
  {
    id: text('id').primaryKey().default(sql`'rec_' || replace(gen_random_uuid()::text, '-', '')`),
    reason: text('reason').notNull(),
    /** the journal that noticed */
    begunBy: text('begun_by').notNull(),
    beganAt: at('began_at').notNull().defaultNow(),
    /** the database remembers nothing after this; null: nobody can tell */
    rewoundTo: at('rewound_to'),
    endedAt: at('ended_at'),
    endedBy: text('ended_by'),
  },
  () => [uniqueIndex('recoveries_open').on(sql`(ended_at is null)`).where(sql`ended_at is null`)],
)

/** Whose entries a recovery needs, and how far each is. */
export const recoveryJournals = pgTable(
  'recovery_journals',
  {
    recoveryId: text('recovery_id')
      .notNull()
      .references(() => recoveries.id, { onDelete: 'cascade' }),
    journalId: text('journal_id').notNull(),
    /** `protected`: what must not be undone is done again, and grants are back; `accepted`: an operator goes on without it */
    state: text('state', { enum: ['awaited', 'protected', 'replayed', 'accepted'] }).notNull(),
    /** as its neighbours saw it last */
    lastSeenAt: at('last_seen_at'),
    counts: jsonb('counts'),
    updatedAt: at('updated_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.recoveryId, table.journalId] })],
)

/** Runs of `accounts reconcile`, for a database that was restored without a journal: every account is tried once. */
export const reconciliations = pgTable(
  'reconciliations',
  {
    id: text('id').primaryKey(),
    dryRun: boolean('dry_run').notNull(),
    beganAt: at('began_at').notNull().defaultNow(),
    endedAt: at('ended_at'),
  },
  (table) => [uniqueIndex('reconciliations_open').on(table.dryRun).where(sql`ended_at is null`)],
)

export const reconciledAccounts = pgTable(
  'reconciled_accounts',
  {
    reconciliationId: text('reconciliation_id')
      .notNull()
      .references(() => reconciliations.id, { onDelete: 'cascade' }),
    accountId: text('account_id')
      .notNull()
      .references(() => accounts.id, { onDelete: 'cascade' }),
    outcome: text('outcome', { enum: reconciledOutcomes }).notNull(),
    reason: text('reason'),
    generation: integer('generation').notNull(),
    at: at('at').notNull().defaultNow(),
    /** its status says so now; before that a grace runs, as after every refusal */
    markedAt: at('marked_at'),
    /** the event is out, for those who must come back */
    announcedAt: at('announced_at'),
  },
  (table) => [primaryKey({ columns: [table.reconciliationId, table.accountId] })],
)

/** A row as a statement reads it: all columns of a table, or those that are named. */
export type Row<
  Table extends { $inferSelect: object },
  Column extends keyof Table['$inferSelect'] = keyof Table['$inferSelect'],
> = Pick<Table['$inferSelect'], Column>

/** Columns of a table that is joined if it has a row. */
export type OuterRow<Table extends { $inferSelect: object }, Column extends keyof Table['$inferSelect']> = {
  [Name in Column]: Table['$inferSelect'][Name] | null
}
