/** Everything the simulated TikTok knows, handed to each of its rooms. */
import { Clock } from './clock.ts'
import { Codes } from './codes.ts'
import { Exchanges } from './exchanges.ts'
import { Faults } from './faults.ts'
import { Grants } from './grants.ts'
import { People } from './people.ts'
import { Publications } from './posting/publications.ts'
import { Rates } from './rates.ts'
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
  readonly exchanges: Exchanges
  readonly webhooks: Webhooks
  readonly publications: Publications
  readonly rates: Rates
  /** Fires when the simulator closes; whatever waits should stop waiting. */
  readonly closing: AbortSignal
}

export function createWorld(settings: Settings, closing: AbortSignal): World {
  const clock = new Clock()
  const stats = new Stats()
  const people = new People(settings.client_key)
  const webhooks = new Webhooks(settings, closing)
  return {
    settings,
    clock,
    stats,
    people,
    codes: new Codes(clock, settings),
    grants: new Grants(clock, settings, stats),
    faults: new Faults(settings),
    exchanges: new Exchanges(),
    webhooks,
    publications: new Publications(clock, settings, people, webhooks, closing),
    rates: new Rates(clock),
    closing,
  }
}
