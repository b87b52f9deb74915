/**
 * A memory beyond the process: who allowed the app what, with the tokens of it, in a file. For a demo whose accounts should
 * still be connected tomorrow; tests start fresh. Codes, faults, counts and crowds are not kept, and neither are replaced
 * refresh tokens: they are refused either way.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { type Apps, NewApp } from './apps.ts'
import { Offset } from './clock.ts'
import { People } from './people.ts'
import { NewPerson, type Person } from './person.ts'
import { Publication } from './posting/publication.ts'
import type { World } from './world.ts'

const ofApp = {
  grants: z.array(
    z.strictObject({
      person: z.string(),
      asked: z.array(z.string()),
      scopes: z.array(z.string()),
      created_at: z.number(),
      refresh_expires_at: z.number(),
      refresh_token: z.string(),
      rotations: z.number().int(),
      access_tokens: z.array(z.strictObject({ token: z.string(), expires_at: z.number() })),
    }),
  ),
  publications: z.array(Publication).default([]),
}

const State = z.strictObject({
  version: z.literal(1),
  /** An open_id is made from it, so another app's grants would belong to nobody. */
  client_key: z.string(),
  offset_seconds: Offset,
  people: z.array(NewPerson),
  ...ofApp,
  /** The others of the same developer. */
  apps: z.array(z.strictObject({ app: NewApp, ...ofApp })).default([]),
})
type State = z.infer<typeof State>
type OfApp = Pick<State, keyof typeof ofApp>

/**
 * Takes up what the file remembers, and keeps it up to date from there.
 *
 * @returns to be called when a call was processed and before it is answered, so that a token somebody holds is a token the
 *   file knows
 * @throws Error when the file is there and is not one of these, or belongs to another client key
 */
export function rememberIn(file: string, apps: Apps): () => void {
  const text = readIfThere(file)
  if (text !== undefined) recall(apps, parse(file, text, apps.first.settings.client_key))
  let written = text
  return function remember() {
    const now = `${JSON.stringify(describe(apps), null, 1)}\n`
    if (now === written) return
    written = now
    replaceFile(file, now)
  }
}

function parse(file: string, text: string, clientKey: string): State {
  let state: State
  try {
    state = State.parse(JSON.parse(text))
  } catch (cause) {
    throw new Error(`${file} is not a state file of this simulator: remove it, or name another`, { cause })
  }
  if (state.client_key !== clientKey)
    throw new Error(`${file} is of another app (${state.client_key}): remove it, or name another`)
  return state
}

function recall(apps: Apps, state: State): void {
  const { clock, people } = apps.first
  clock.setOffset(state.offset_seconds)
  for (const { id, ...change } of state.people) {
    const person = people.find(id)
    if (person) people.change(person, change)
    else people.add({ id, ...change })
  }
  recallApp(apps.first, state)
  for (const { app, ...kept } of state.apps) recallApp(apps.add(app) ?? apps.find(app.client_key ?? '') ?? apps.first, kept)
}

function recallApp({ people, grants, publications }: World, state: OfApp): void {
  for (const kept of state.grants) {
    const person = people.find(kept.person)
    if (person) {
      grants.recall(person, {
        asked: kept.asked,
        scopes: kept.scopes,
        createdAt: kept.created_at,
        refreshExpiresAt: kept.refresh_expires_at,
        refreshToken: kept.refresh_token,
        rotations: kept.rotations,
        accessTokens: kept.access_tokens.map(({ token, expires_at }) => ({ token, expiresAt: expires_at })),
      })
    }
  }
  for (const kept of state.publications) publications.add(kept)
  publications.restored()
}

function describe(apps: Apps): State {
  const { settings, clock, people, developer } = apps.first
  const [, ...others] = apps.ofSameDeveloper(apps.first)
  const asBefore = new People(settings.client_key, developer)
  return {
    version: 1,
    client_key: settings.client_key,
    offset_seconds: clock.report().offset_seconds,
    people: Array.from(people.shown(), describePerson).filter((described) => {
      const known = asBefore.find(described.id)
      return !known || !isDeepStrictEqual(describePerson(known), described)
    }),
    ...describeApp(apps.first),
    apps: others.map((world) => ({ app: { ...world.settings, developer }, ...describeApp(world) })),
  }
}

function describeApp({ grants, publications, people }: World): OfApp {
  return {
    grants: Array.from(grants.all())
      .filter(({ person }) => !person.inCrowd)
      .map((grant) => ({
        person: grant.person.id,
        asked: [...grant.asked],
        scopes: [...grant.scopes],
        created_at: grant.createdAt,
        refresh_expires_at: grant.refreshExpiresAt,
        refresh_token: grant.refreshToken,
        rotations: grant.rotations,
        access_tokens: grant.accessTokens.map((token) => ({ token, expires_at: grants.expiresAt(token) })),
      })),
    publications: [...publications.all()].filter(({ person }) => people.find(person)?.inCrowd === false),
  }
}

function describePerson(person: Person): NewPerson {
  return {
    id: person.id,
    display_name: person.displayName,
    username: person.username,
    bio: person.bio,
    is_verified: person.isVerified,
    follower_count: person.followerCount,
    following_count: person.followingCount,
    likes_count: person.likesCount,
    video_count: person.videoCount,
    creator: person.creator,
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Written aside and renamed, so that a killed simulator leaves the old file or the new one, never half of one. */
export function replaceFile(file: string, content: string | Buffer): void {
  mkdirSync(dirname(file), { recursive: true })
  const draft = `${file}.new`
  writeFileSync(draft, content, { mode: 0o600 })
  renameSync(draft, file)
}
