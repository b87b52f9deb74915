/** Everything the simulated TikTok knows, handed to each of its rooms. */
import { Clock } from './clock.ts'
import { Codes } from './codes.ts'
import { Faults } from './faults.ts'
import { Grants } from './grants.ts'
import { People } from './people.ts'
import type { Person } from './person.ts'
import type { Settings } from './settings.ts'
import { Stats } from './stats.ts'
import { Webhooks } from './webhooks.ts'

export interface World {
  readonly settings: Settings
  readonly clock: Clock
  readonly stats: Stats
  readonly people: People
  readonly codes: Codes
  readonly grants: Grants
  readonly faults: Faults
  readonly webhooks: Webhooks
  /** Whose upload has begun, by publish id. */
  readonly uploads: Map<string, Person>
  /** When each user info of the last minute came in, while they are limited. */
  readonly userInfoTimes: number[]
  /** Fires when the simulator closes; whatever waits should stop waiting. */
  readonly closing: AbortSignal
}

export function createWorld(settings: Settings, closing: AbortSignal): World {
  const clock = new Clock()
  const stats = new Stats()
  return {
    settings,
    clock,
    stats,
    people: new People(settings.client_key),
    codes: new Codes(clock),
    grants: new Grants(clock, settings, stats),
    faults: new Faults(settings),
    webhooks: new Webhooks(settings, closing),
    uploads: new Map(),
    userInfoTimes: [],
    closing,
  }
}
