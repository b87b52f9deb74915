/**
 * What a person has allowed the app, and the token pairs made from it. A grant has one live refresh token; each refresh
 * replaces it, and every token that ever lived is remembered, so that its reuse is noticed.
 */
import { hash } from 'node:crypto'
import type { Clock } from './clock.ts'
import { appMarkOf, newAccessToken, newRefreshToken } from './opaque.ts'
import { openIdOf, type Person } from './person.ts'
import { lifetimesInSeconds, type Settings } from './settings.ts'
import type { Stats } from './stats.ts'

export interface Grant {
  readonly person: Person
  /** Who the person is to the app. */
  readonly openId: string
  /** What was asked for and what was allowed. */
  readonly asked: readonly string[]
  scopes: readonly string[]
  readonly createdAt: number
  /** Set once: a rotated refresh token does not live longer than the first would have. */
  readonly refreshExpiresAt: number
  refreshToken: string
  accessTokens: string[]
  rotations: number
  /** True once the person or the app has withdrawn it; no token of it works from then on. */
  ended: boolean
}

export interface RefreshTokenRecord {
  readonly grant: Grant
  presented: number
  processed: number
  processedAt: number | undefined
  /** False once replaced. */
  live: boolean
}

interface AccessTokenRecord {
  readonly grant: Grant
  readonly expiresAt: number
}

/** A grant as it is kept from one process to the next. */
export interface KeptGrant extends Omit<Grant, 'person' | 'openId' | 'accessTokens' | 'ended'> {
  readonly accessTokens: readonly { token: string; expiresAt: number }[]
}

/** The token endpoint's success, as TikTok writes it. */
export interface TokenSet {
  access_token: string
  expires_in: number
  open_id: string
  refresh_token: string
  refresh_expires_in: number
  scope: string
  token_type: 'Bearer'
}

export class Grants {
  readonly #appMark: string
  readonly #clock: Clock
  readonly #settings: Settings
  readonly #stats: Stats
  readonly kept = {
    live: new Map<Person, Set<Grant>>(),
    refreshTokens: new Map<string, RefreshTokenRecord>(),
    accessTokens: new Map<string, AccessTokenRecord>(),
  }

  constructor(clock: Clock, settings: Settings, stats: Stats) {
    this.#appMark = appMarkOf(settings.client_key)
    this.#clock = clock
    this.#settings = settings
    this.#stats = stats
  }

  /** A new grant with its first token pair. Earlier grants of the same person stay as they are. */
  issue(
    person: Person,
    scopes: readonly string[],
    options: { asked?: readonly string[]; accessExpiresIn?: number } = {},
  ): TokenSet {
    const lifetimes = lifetimesInSeconds(this.#settings.lifetimes)
    const now = this.#clock.now()
    const grant: Grant = {
      person,
      openId: openIdOf(this.#settings.client_key, person.id),
      asked: options.asked ?? scopes,
      scopes,
      createdAt: now,
      refreshExpiresAt: now + lifetimes.refresh * 1000,
      refreshToken: '',
      accessTokens: [],
      rotations: 0,
      ended: false,
    }
    const grants = this.kept.live.get(person) ?? new Set()
    this.kept.live.set(person, grants.add(grant))
    this.#giveRefreshToken(grant)
    return this.#answer(grant, options.accessExpiresIn ?? lifetimes.access, now)
  }

  /** Puts a grant back as another process knew it. */
  recall(person: Person, kept: KeptGrant): void {
    const openId = openIdOf(this.#settings.client_key, person.id)
    const accessTokens = kept.accessTokens.map(({ token }) => token)
    const grant: Grant = { ...kept, person, openId, accessTokens, ended: false }
    const grants = this.kept.live.get(person) ?? new Set()
    this.kept.live.set(person, grants.add(grant))
    this.kept.refreshTokens.set(grant.refreshToken, newRecord(grant))
    for (const { token, expiresAt } of kept.accessTokens) this.kept.accessTokens.set(token, { grant, expiresAt })
  }

  /** @returns the new pair, or undefined for a refresh token that is unknown, replaced, revoked or expired */
  refresh(refreshToken: string): TokenSet | undefined {
    const record = this.kept.refreshTokens.get(refreshToken)
    if (record) this.#countPresented(refreshToken, record)
    if (!record || !this.isLive(refreshToken)) {
      this.#stats.count('refreshes_refused')
      return undefined
    }
    const { grant } = record
    const { rotation, old_access_token, lifetimes } = this.#settings
    const now = this.#clock.now()
    record.processed += 1
    record.processedAt = now
    this.#stats.count('refreshes_processed')
    this.#stats.atLeast('max_processed_per_refresh_token', record.processed)

    if (rotation === 'strict') record.live = false
    if (rotation !== 'none') this.#giveRefreshToken(grant)
    grant.rotations += 1
    this.#forgetAccessTokens(grant, old_access_token === 'dies', now)
    return this.#answer(grant, lifetimesInSeconds(lifetimes).access, now)
  }

  /** @returns the grant behind a working access token */
  byAccessToken(accessToken: string | undefined): Grant | undefined {
    const record = accessToken === undefined ? undefined : this.kept.accessTokens.get(accessToken)
    return record && this.#clock.now() < record.expiresAt ? record.grant : undefined
  }

  /** Whether TikTok would still exchange this refresh token for a new pair. */
  isLive(refreshToken: string): boolean {
    const record = this.kept.refreshTokens.get(refreshToken)
    return record?.live === true && !record.grant.ended && this.#clock.now() < record.grant.refreshExpiresAt
  }

  refreshTokenRecord(refreshToken: string): RefreshTokenRecord | undefined {
    return this.kept.refreshTokens.get(refreshToken)
  }

  ofPerson(person: Person): Grant[] {
    return [...(this.kept.live.get(person) ?? [])]
  }

  *all(): Generator<Grant> {
    for (const grants of this.kept.live.values()) yield* grants
  }

  /** Ends every grant of this person: at TikTok an app is allowed or not, there are no single connections. */
  removeApp(person: Person): number {
    const grants = this.ofPerson(person)
    for (const grant of grants) {
      grant.ended = true
      this.#forgetAccessTokens(grant, true, this.#clock.now())
    }
    this.kept.live.delete(person)
    return grants.length
  }

  expiresIn(accessToken: string): number {
    return secondsUntil(this.expiresAt(accessToken), this.#clock.now())
  }

  /** In milliseconds since 1970, by the simulator's clock; 0 for one that is not known. */
  expiresAt(accessToken: string): number {
    return this.kept.accessTokens.get(accessToken)?.expiresAt ?? 0
  }

  #giveRefreshToken(grant: Grant): void {
    grant.refreshToken = newRefreshToken()
    this.kept.refreshTokens.set(grant.refreshToken, newRecord(grant))
  }

  #answer(grant: Grant, expiresIn: number, now: number): TokenSet {
    const accessToken = newAccessToken(this.#appMark)
    grant.accessTokens.push(accessToken)
    this.kept.accessTokens.set(accessToken, { grant, expiresAt: now + expiresIn * 1000 })
    return {
      access_token: accessToken,
      expires_in: expiresIn,
      open_id: grant.openId,
      refresh_token: grant.refreshToken,
      refresh_expires_in: secondsUntil(grant.refreshExpiresAt, now),
      scope: grant.scopes.join(','),
      token_type: 'Bearer',
    }
  }

  #forgetAccessTokens(grant: Grant, livingToo: boolean, now: number): void {
    grant.accessTokens = grant.accessTokens.filter((accessToken) => {
      const stays = !livingToo && now < (this.kept.accessTokens.get(accessToken)?.expiresAt ?? 0)
      if (!stays) this.kept.accessTokens.delete(accessToken)
      return stays
    })
  }

  #countPresented(refreshToken: string, record: RefreshTokenRecord): void {
    record.presented += 1
    this.#stats.atLeast('max_presented_per_refresh_token', record.presented)
    const { processedAt, presented, grant } = record
    if (processedAt === undefined || this.#settings.rotation !== 'strict') return
    this.#stats.doubleSpend(() => ({
      open_id: grant.openId,
      person: grant.person.id,
      refresh_token_sha256: sha256(refreshToken),
      processed_at: new Date(processedAt).toISOString(),
      presented_at: new Date(this.#clock.now()).toISOString(),
      presented,
    }))
  }
}

/** What a grant opens: of what the person allowed, that which the app still has. */
export function openScopes({ app_scopes }: Settings, { scopes }: Grant): readonly string[] {
  const enabled: readonly string[] = app_scopes
  return scopes.filter((scope) => enabled.includes(scope))
}

function newRecord(grant: Grant): RefreshTokenRecord {
  return { grant, presented: 0, processed: 0, processedAt: undefined, live: true }
}

export function sha256(text: string): string {
  return hash('sha256', text)
}

function secondsUntil(time: number, now: number): number {
  return Math.max(0, Math.floor((time - now) / 1000))
}
