// Whether the database is where the journal left it. A restored backup, or a standby that was promoted before it had everything, brings back
// spent refresh tokens: this notices before one is sent, and holds everything until the journals are replayed (F28).
import type { Db } from '../db/client.ts'
import { moveMark, readServerIdentity, type ServerIdentity, type Sighting, sightEpoch } from '../db/epoch.ts'
import { beginRecovery, readRecovery, revokedKeysSince } from '../db/recoveries.ts'
import { ServiceError } from '../errors.ts'
import type { Log } from '../telemetry.ts'
import type { Vault } from '../vault/vault.ts'
import type { Journal } from './journal.ts'
import { type LastNote, lastNotes } from './last-notes.ts'
import type { JournalMetrics } from './metrics.ts'
import type { Recoverer } from './recovery.ts'

export interface Epoch {
  /** What a claim is made with: it is refused where the database is older than this mark. */
  readonly mark: { journalId: string; mark: number }
  /** the database went back, or may have: nothing is spent */
  readonly rewound: boolean
  /** A connection was lost: whatever answers next may be another database. */
  suspect(): void
  /**
   * Whether something may be spent. Looks first when a connection was lost.
   *
   * @throws ServiceError storage_unavailable
   */
  trusted(): Promise<boolean>
  /**
   * Whether requests may be served: also while a recovery waits for journals that nobody knows of yet.
   *
   * @throws ServiceError storage_unavailable
   */
  serves(): Promise<boolean>
  /** While the database is older than the journals, a token may leave only if it is the newest that a journal knows. */
  vouchesFor(accountId: string, generation: number | null): boolean
  /**
   * The latest generation of an account that a journal of this process knows to be recorded; 0 for none. Whoever asks the database after this
   * and is told of an earlier one has met a row that somebody put back.
   */
  knownGeneration(accountId: string): number
  /**
   * Lets a request pass while the database is trusted. Looks first when it is in doubt.
   *
   * @param may what is asked for: `vend` passes as soon as disconnects and revoked keys are back
   * @throws ServiceError database_rewound; storage_unavailable
   */
  admit(may: 'vend' | 'anything'): Promise<void>
  /**
   * A row is older than this process knows it: somebody put an older database in its place.
   *
   * @returns false when the journals were replayed for it already: what it had is lost, and the older token may be tried
   */
  metOlderRow(accountId: string): Promise<boolean>
  /** At start: holds the database against every journal of the directory. When it went back, waits until requests may be served. */
  start(): Promise<void>
  /** Every few seconds: looks, and counts on. */
  beat(): Promise<void>
  /** Waits for a replay that is under way. */
  landed(): Promise<void>
}

export interface EpochDeps {
  db: Db
  vault: Vault
  journal: Journal
  recoverer: Recoverer
  log: Log
  metrics: JournalMetrics
}

/** A clean end and a crash leave the last note at most this old. */
const noteEveryMs = 30_000
const identityEveryMs = 30_000
const retryAfterSeconds = 5

export function createEpoch({ db, vault, journal, recoverer, log, metrics }: EpochDeps): Epoch {
  let mark = 0
  let inDoubt = false
  let recovery: Promise<void> | undefined
  let looking: Promise<Sighting> | undefined
  let identity: ServerIdentity = { systemIdentifier: null, timeline: null }
  let identityReadAtMs = Number.NEGATIVE_INFINITY
  let notedAtMs = Number.NEGATIVE_INFINITY
  let keysSeenUntil: Date | undefined
  let ownRowSeenAt: Date | null = null
  /** accounts whose rows were met older than known, once */
  const lostForGood = new Set<string>()

  /** Asks the database once, however many wait for it. */
  function look(): Promise<Sighting> {
    looking ??= (async () => {
      try {
        const sighting = await sightEpoch(db, [journal.id], journal.lately())
        journal.syncClock(sighting.readAt)
        if (sighting.databaseId !== journal.databaseId) throw anotherDatabase()
        const own = sighting.known[0]
        if (sighting.recovery) join(sighting.recovery.id)
        else if (sighting.behind.length > 0) await begin('row_behind', ownRowSeenAt)
        else if (mark > 0 && (own?.mark ?? 0) < mark) await begin('mark_behind', own?.seenAt ?? null)
        else await compareServer(sighting)
        ownRowSeenAt = own?.seenAt ?? ownRowSeenAt
        if (!recovery) inDoubt = false
        return sighting
      } finally {
        looking = undefined
      }
    })()
    return looking
  }

  async function compareServer(sighting: Sighting): Promise<void> {
    if (!inDoubt && performance.now() - identityReadAtMs < identityEveryMs) return
    const present = await readServerIdentity(db)
    const changed = changeOf(identity, present)
    // Learnt even so: once the journals are replayed, this is the server.
    identity = {
      systemIdentifier: present.systemIdentifier ?? identity.systemIdentifier,
      timeline: present.timeline ?? identity.timeline,
    }
    identityReadAtMs = performance.now()
    if (changed !== undefined) await begin(changed, sighting.known[0]?.seenAt ?? null)
  }

  async function begin(reason: string, rewoundTo: Date | null): Promise<void> {
    const { id, begun } = await beginRecovery(db, { reason, journalId: journal.id, rewoundTo })
    if (begun) log.fatal('database went back: nothing is spent until the journals are replayed', { reason, name: id })
    join(id)
  }

  function join(recoveryId: string): void {
    metrics.databaseRewound.set(1)
    recovery ??= recoverer
      .take(recoveryId, { mark })
      .then(() => {
        journal.forgetLately() // what could not be brought back is behind for good
        identity = { systemIdentifier: null, timeline: null } // whichever server this is now, it is up to date
        log.info('database was brought up to date', { name: recoveryId })
      })
      .catch((error) => log.warn('recovery was not finished here: it goes on with the next look', { name: recoveryId, error }))
      .finally(() => {
        recovery = undefined
        inDoubt = true // looked at once more before anything is spent
        metrics.databaseRewound.set(0)
      })
  }

  function note(siblings: Sighting['lively']): void {
    notedAtMs = performance.now()
    const others = siblings.filter(({ id }) => id !== journal.id).map(({ id, seenAt }) => ({ id, seenAt }))
    journal.note({ kind: 'sighting', subject: journal.databaseId, generation: 0, body: { mark, ...identity, siblings: others } })
  }

  /** Whoever revokes a key, by whatever way: the journals of the replicas know it within seconds. */
  async function noteRevokedKeys(readAt: Date): Promise<void> {
    const since = keysSeenUntil ?? new Date(readAt.getTime() - 60_000)
    for (const { id, revokedAt } of await revokedKeysSince(db, since)) {
      await journal.write({ kind: 'key_revoked', subject: id, generation: 0, body: { revokedAt } })
      keysSeenUntil = revokedAt
    }
    keysSeenUntil ??= since
  }

  async function trusted(): Promise<boolean> {
    // Asked once more: the first try may have met a connection that died with the others.
    if (inDoubt && !recovery) await look().catch(look)
    return recovery === undefined
  }

  const serves = async () => (await trusted()) || recoverer.isReplayed

  return {
    get mark() {
      return { journalId: journal.id, mark }
    },
    get rewound() {
      return recovery !== undefined
    },
    suspect() {
      inDoubt = true
    },
    trusted,
    serves,
    knownGeneration: (accountId) => journal.known.of(accountId),
    vouchesFor: (accountId, generation) => !recovery || recoverer.isReplayed || journal.known.of(accountId) === generation,
    async admit(may) {
      if (!(await serves()) && !(may === 'vend' && recoverer.isProtected)) throw databaseRewound()
    },
    async metOlderRow(accountId) {
      if (lostForGood.has(accountId)) return false
      lostForGood.add(accountId) // unless the replay brings it: then its row is older no more
      log.error('row was older than the journal', { accountId })
      if (!recovery) await begin('row_behind', ownRowSeenAt)
      return true
    },
    async start() {
      identity = await readServerIdentity(db)
      identityReadAtMs = performance.now()
      const before = await readRecovery(db)
      const { notes, recorded } = await lastNotes(journal, vault, before?.endedAt ?? null)
      const sighting = await sightEpoch(db, [...notes.keys()], recorded)
      journal.syncClock(sighting.readAt)
      const reason = sighting.recovery ? undefined : reasonAt(notes, sighting, identity)
      if (sighting.recovery) join(sighting.recovery.id)
      else if (reason !== undefined) await begin(reason, latest(sighting.known.map(({ seenAt }) => seenAt)))
      if (recovery) await Promise.race([recovery, recoverer.protectedOrSlow()])
    },
    async beat() {
      if (recovery) return
      const { lively, readAt } = await look()
      if (recovery) return
      if (!(await moveMark(db, journal.id, mark + 1))) {
        inDoubt = true // the next look says why
        return
      }
      mark++
      await noteRevokedKeys(readAt)
      if (journal.wroteSince(notedAtMs) || performance.now() - notedAtMs > noteEveryMs) note(lively)
    },
    async landed() {
      await recovery
    },
  }
}

/** What the database shows that the journals of the directory know better. */
function reasonAt(notes: ReadonlyMap<string, LastNote>, sighting: Sighting, identity: ServerIdentity): string | undefined {
  const known = new Map(sighting.known.map(({ id, mark }) => [id, mark]))
  if (sighting.behind.length > 0) return 'row_behind'
  let newest: LastNote | undefined
  for (const [id, note] of notes) {
    if ((known.get(id) ?? 0) < note.mark) return 'mark_behind'
    if (note.mark > 0 && note.atMs > (newest?.atMs ?? 0)) newest = note
  }
  return newest && changeOf(newest, identity)
}

function changeOf(before: ServerIdentity, after: ServerIdentity): string | undefined {
  const differs = (a: string | null, b: string | null) => a !== null && b !== null && a !== b
  if (differs(before.systemIdentifier, after.systemIdentifier)) return 'system_changed'
  if (differs(before.timeline, after.timeline)) return 'timeline_changed'
  return undefined
}

const latest = (dates: readonly Date[]): Date | null =>
  dates.reduce<Date | null>((last, date) => (last && last > date ? last : date), null)

export function databaseRewound(): ServiceError {
  return new ServiceError('database_rewound', 'The database was restored to an earlier moment; try again in some seconds.', {
    retryAfterSeconds,
  })
}

function anotherDatabase(): ServiceError {
  return new ServiceError(
    'database_rewound',
    'Another database answers than the one this process started with: restart it, with a JOURNAL_DIR of its own if the change is meant.',
    { retryAfterSeconds: 30 },
  )
}
