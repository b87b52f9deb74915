/**
 * The apps that the simulator knows, each with its own keys, settings and grants, and nothing in common with the others but people
 * and clock where one developer has several.
 */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { appMarkIn, appMarkOf } from './opaque.ts'
import { defaultSettings, definedOf, Settings } from './settings.ts'
import type { Snapshots } from './snapshots.ts'
import { bearerOf, type Request } from './wire.ts'
import { createWorld, load, save, type World } from './world.ts'

/** An app as somebody defines it. What is left out is as the simulator was started, addresses and target users excepted. */
export const NewApp = Settings.partial().extend({
  developer: z
    .string()
    .regex(/^[\w-]{1,64}$/)
    .optional()
    .describe(
      "Whose it is: apps of one developer share people, their union_id and the clock. Alone unless said; `default` is the first one's",
    ),
})
export type NewApp = z.input<typeof NewApp>

export class Apps {
  readonly first: World
  readonly #snapshots: Snapshots
  readonly #worlds = new Map<string, World>()
  readonly #byMark = new Map<string, World>()
  #tellChanged: () => void = () => {}
  readonly #settingsAtStart = new WeakMap<World, Settings>()

  constructor(settings: Settings, snapshots: Snapshots, closing: AbortSignal) {
    this.#snapshots = snapshots
    this.first = this.#admit(createWorld(settings, closing))
  }

  all(): readonly World[] {
    return [...this.#worlds.values()]
  }

  find(clientKey: string): World | undefined {
    return this.#worlds.get(clientKey)
  }

  /** This app and the others of its developer. */
  ofSameDeveloper({ developer }: World): readonly World[] {
    return this.all().filter((world) => world.developer === developer)
  }

  /** @returns undefined when there is an app by this client key already */
  add(wanted: NewApp): World | undefined {
    const { developer, ...given } = NewApp.parse(wanted)
    const atStart = this.#settingsAtStart.get(this.first)
    const settings = Settings.parse({
      ...defaultSettings,
      ...atStart,
      app_name: 'Another app under test',
      client_key: `${given.sandbox_targets ? 'sb' : 'aw'}${randomBytes(8).toString('hex')}`,
      client_secret: randomBytes(16).toString('hex'),
      redirect_uris: null,
      sandbox_targets: null,
      webhook_url: null,
      ...definedOf(given),
    })
    if (this.#worlds.has(settings.client_key)) return undefined
    const whose = developer ?? settings.client_key
    const sister = this.all().find((world) => world.developer === whose)
    return this.#admit(createWorld(settings, this.first.closing, { developer: whose, sister, other: this.first }))
  }

  /** @returns false for the first, which stays */
  remove(world: World): boolean {
    if (world === this.first) return false
    this.#worlds.delete(world.settings.client_key)
    this.#byMark.delete(appMarkOf(world.settings.client_key))
    load([world], save([this.#fresh(world)]), ['people', 'clock']) // notices and posts that are on their way end with it
    if (this.ofSameDeveloper(world).length === 0) this.#snapshots.forget(world.developer)
    return true
  }

  /** Whose request to TikTok it is: by the access token, or the client key wherever a client may have put it. */
  of(request: Request): World {
    if (this.#worlds.size === 1) return this.first
    const byToken = this.#byMark.get(appMarkIn(bearerOf(request)) ?? '')
    return byToken ?? this.find(request.query.get('client_key') ?? clientKeyIn(request) ?? '') ?? this.first
  }

  /** Back to the start: the apps of this developer stay, and forget everything that happened and was set since. */
  reset(world: World): void {
    const worlds = this.ofSameDeveloper(world)
    let sister: World | undefined
    const fresh = worlds.map((before) => {
      sister = this.#fresh(before, sister)
      return sister
    })
    load(worlds, save(fresh))
  }

  /** As it began; not for use, only to be copied. */
  #fresh(world: World, sister?: World): World {
    const settings = structuredClone(this.#settingsAtStart.get(world) ?? world.settings)
    return createWorld(settings, AbortSignal.abort(), { developer: world.developer, sister })
  }

  /** @param tell called after steps that no request asked for */
  onChange(tell: () => void): void {
    this.#tellChanged = tell
  }

  saveSnapshot(world: World, name: string): void {
    this.#snapshots.keep(world.developer, name, save(this.ofSameDeveloper(world)))
  }

  /** @returns false when there is none by this name */
  loadSnapshot(world: World, name: string): boolean {
    const saved = this.#snapshots.find(world.developer, name)
    if (!saved) return false
    this.reset(world) // an app that came later has no part in it
    load(this.ofSameDeveloper(world), saved)
    return true
  }

  snapshotsOf({ developer }: World): readonly string[] {
    return this.#snapshots.names(developer)
  }

  removeSnapshot({ developer }: World, name: string): boolean {
    return this.#snapshots.remove(developer, name)
  }

  #admit(world: World): World {
    world.publications.onChange(() => this.#tellChanged())
    this.#worlds.set(world.settings.client_key, world)
    this.#byMark.set(appMarkOf(world.settings.client_key), world)
    this.#settingsAtStart.set(world, structuredClone(world.settings))
    return world
  }
}

/** In a form as TikTok wants it, or as JSON or HTTP Basic as a mistaken client sends it: the mistake is that app's. */
function clientKeyIn({ headers, body }: Request): string | undefined {
  const [, basic] = /^Basic +(\S+)$/i.exec(headers.authorization ?? '') ?? []
  if (basic !== undefined) return Buffer.from(basic, 'base64').toString().split(':')[0]
  const text = body.toString()
  return /"client_key"\s*:\s*"([\w-]+)"/.exec(text)?.[1] ?? new URLSearchParams(text).get('client_key') ?? undefined
}
