/** Everything the simulated TikTok knows of one app, handed to each of its rooms. Apps of one developer share people and clock. */
import { deserialize, serialize } from 'node:v8'
import { Clock } from './clock.ts'
import { Codes } from './codes.ts'
import { Exchanges } from './exchanges.ts'
import { Faults } from './faults.ts'
import { Grants } from './grants.ts'
import { People } from './people.ts'
import { defaultDeveloper } from './person.ts'
import { Publications } from './posting/publications.ts'
import { Rates } from './rates.ts'
import type { Settings } from './settings.ts'
import { Stats } from './stats.ts'
import { Webhooks } from './webhooks.ts'

export interface World {
  readonly developer: string
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

export type StoreName = keyof Omit<World, 'developer' | 'closing'>

/** Whatever remembers: it has all of that in `kept`, as plain data, so that a world can be put back whole. Or it forgets when that happens. */
type Store = { readonly kept: object; restored?(): void } | { forget(): void }

interface Surroundings {
  readonly developer?: string
  /** Another app of the developer. */
  readonly sister?: World | undefined
  /** Any other app. */
  readonly other?: World
}

export function createWorld(settings: Settings, closing: AbortSignal, around: Surroundings = {}): World {
  const { developer = defaultDeveloper, sister, other } = around
  const clock = sister?.clock ?? new Clock()
  const stats = new Stats()
  const people = new People(settings.client_key, developer, sister?.people)
  const webhooks = new Webhooks(settings, closing)
  return {
    developer,
    settings,
    clock,
    stats,
    people,
    codes: new Codes(clock, settings),
    grants: new Grants(clock, settings, stats),
    faults: new Faults(settings),
    exchanges: new Exchanges(other?.exchanges),
    webhooks,
    publications: new Publications(clock, settings, people, webhooks, closing),
    rates: new Rates(clock),
    closing,
  }
}

export function storesOf({ developer: _, closing: __, settings, ...stores }: World): Record<StoreName, Store> {
  return { settings: { kept: settings }, ...stores }
}

/** @returns all that these worlds remember; what they share stays shared */
export function save(worlds: readonly World[]): Buffer {
  return serialize(new Map(worlds.map((world) => [world.settings.client_key, dataOf(world)])))
}

function dataOf(world: World): Map<string, object> {
  const stores = Object.entries(storesOf(world))
  return new Map(stores.flatMap(([name, store]) => ('kept' in store ? [[name, store.kept] as const] : [])))
}

/** Puts back what was saved, store by store; those that were not saved stay as they are. */
export function load(worlds: readonly World[], saved: Buffer, leaveOut: readonly string[] = []): void {
  const dataOfApps: Map<string, Map<string, object>> = deserialize(saved)
  for (const world of worlds) {
    const held = dataOf(world)
    for (const [name, data] of dataOfApps.get(world.settings.client_key) ?? []) {
      const target = held.get(name)
      if (target && !leaveOut.includes(name)) putBack(target, data)
    }
  }
  // Only now, because a store may look at its neighbours.
  for (const store of worlds.flatMap((world) => Object.values(storesOf(world)))) {
    if ('forget' in store) store.forget()
    else store.restored?.()
  }
}

/** In place, because rooms hold on to their maps. */
function putBack(target: object, saved: object): void {
  for (const [name, value] of Object.entries(saved)) {
    const held: unknown = Reflect.get(target, name)
    if (held instanceof Map && value instanceof Map) {
      held.clear()
      for (const [key, item] of value) held.set(key, item)
    } else Reflect.set(target, name, value)
  }
}
