/** `/_sim`: everything a test or a bench can ask of the simulator and tell it, over HTTP. */
import { z } from 'zod'
import { appHandlers } from './app-control.ts'
import type { Apps } from './apps.ts'
import { decideByScript, ScriptedDecision } from './authorize.ts'
import { ClockChange } from './clock.ts'
import { type ControlRoute, Crowd, describeControl, Removal, SettingsChange, Shrunk } from './control-description.ts'
import { FaultScript } from './faults.ts'
import { type Grant, type Grants, sha256, type TokenSet } from './grants.ts'
import { type Handler, noApp, nothingHere, read } from './handler.ts'
import { describeExchanges, inspector, script } from './inspector.ts'
import { list } from './listing.ts'
import { NamedFault, namedFaults, scriptOf } from './named-faults.ts'
import { NewPerson, type Person, PersonChange } from './person.ts'
import { PublicationStep, takeStep } from './posting/steps.ts'
import { removeApp } from './revoke.ts'
import { definedOf, type Settings } from './settings.ts'
import { Notice } from './webhooks.ts'
import { type Answer, json, type Request } from './wire.ts'
import type { World } from './world.ts'

export type IssuedGrant = TokenSet & { person: string }

const handlers: Record<ControlRoute, Handler> = {
  ...appHandlers,
  'GET openapi.json': (_world, request) => json(200, describeControl(request.origin)),
  'GET inspector': () => inspector(),
  'GET inspector.js': () => script(),
  'GET requests': (world, request, _id, apps) =>
    json(200, describeExchanges(request.path === '/_sim/requests' ? apps.all() : [world], request.query)),
  'GET health': () => json(200, { status: 'ok' }),
  'GET clock': ({ clock }) => json(200, clock.report()),
  'POST clock': ({ clock }, request) => {
    clock.change(read(ClockChange, request))
    return json(200, clock.report())
  },
  'GET settings': ({ settings }) => json(200, settings),
  'POST settings': (world, request) => json(200, changeSettings(world, read(SettingsChange, request))),
  'POST authorize': (world, request) => {
    const decided = decideByScript(world, read(ScriptedDecision, request))
    if ('redirect_to' in decided) return json(200, decided)
    return json(400, { error: 'param_error', error_type: decided.errorType, errCode: decided.errCode })
  },
  'GET people': (world) => json(200, { people: Array.from(world.people.shown(), (person) => describePerson(world, person)) }),
  'POST people': (world, request) => {
    const newcomer = read(NewPerson, request)
    if (world.people.find(newcomer.id)) return json(409, { error: 'there is somebody by this id already' })
    return json(201, describePerson(world, world.people.add(newcomer)))
  },
  'GET people/:id': (world, _request, id) => withPerson(world, id, (person) => describePerson(world, person)),
  'PATCH people/:id': (world, request, id) => {
    const change = read(PersonChange, request)
    return withPerson(world, id, (person) => describePerson(world, world.people.change(person, change)))
  },
  'POST people/:id/remove-app': (world, request, id) => {
    const { reason, notify } = read(Removal, request)
    return withPerson(world, id, (person) => ({ removed: removeApp(world, person, reason, notify) }))
  },
  'POST people/:id/scopes': (world, request, id) => {
    const shrunk = read(Shrunk, request)
    return withPerson(world, id, (person) => {
      for (const grant of world.grants.ofPerson(person)) grant.scopes = shrunk.scopes
      return describePerson(world, person)
    })
  },
  'GET grants': (world, request) => {
    const whose = request.query.get('open_id') ?? request.query.get('person')
    const person = whose === null ? undefined : world.people.findByEither(whose)
    const grants = whose === null ? world.grants.all() : person ? world.grants.ofPerson(person) : []
    return list(
      'grants',
      request,
      mapped(grants, (grant) => describeGrant(world.grants, grant, request.query.has('reveal'))),
    )
  },
  'POST grants': (world, request) => list('', request, issueToCrowd(world, read(Crowd, request))),
  'GET refresh-tokens': (world, request) => describeRefreshToken(world, request.query.get('token') ?? ''),
  'GET publications': (world, request) => {
    const whose = request.query.get('open_id') ?? request.query.get('person')
    const person = whose === null ? undefined : world.people.findByEither(whose)
    const { publications } = world
    return list('publications', request, whose === null ? publications.all() : person ? publications.ofPerson(person) : [])
  },
  'GET publications/:id': ({ publications }, _request, id) => {
    const publication = publications.find(id)
    return publication ? json(200, publication) : nothingHere()
  },
  'POST publications/:id': (world, request, id) => {
    const step = read(PublicationStep, request)
    const publication = world.publications.find(id)
    if (!publication) return nothingHere()
    return takeStep(world, publication, step) ? json(200, publication) : json(409, { error: 'not from here', publication })
  },
  'GET stats': ({ stats }) => json(200, stats.report()),
  'POST stats/reset': ({ stats }) => {
    stats.reset()
    return json(200, stats.report())
  },
  'GET faults': ({ faults }) => json(200, { faults: faults.list() }),
  'POST faults': ({ faults }, request) => json(201, faults.add(read(FaultScript, request))),
  'POST faults/:id': ({ faults }, request, name) => {
    const script = scriptOf(name, read(NamedFault, request))
    return script
      ? json(201, faults.add(script))
      : nothingHere(`no fault by this name, but ${Object.keys(namedFaults).join(', ')}`)
  },
  'DELETE faults': ({ faults }) => {
    faults.clear()
    return json(200, { faults: [] })
  },
  'DELETE faults/:id': ({ faults }, _request, id) => (faults.remove(id) ? json(200, {}) : nothingHere()),
  'GET webhooks': ({ webhooks }) => json(200, { deliveries: webhooks.deliveries() }),
  'POST webhooks': ({ webhooks }, request) => json(202, { deliveries: webhooks.send(read(Notice, request)) }),
}

const byRoute: Readonly<Partial<Record<string, Handler>>> = handlers

/** What stands behind `/_sim/apps/KEY/` is asked of that app, the rest of the first. */
export function control(apps: Apps, request: Request): Answer {
  const [, key, ofApp] = /^\/_sim\/apps\/([^/]+)\/(.*)$/.exec(request.path) ?? []
  const world = key === undefined ? apps.first : apps.find(key)
  if (!world) return noApp()
  const [resource = '', id = '', action] = (ofApp ?? request.path.slice('/_sim/'.length)).split('/')
  const exact = byRoute[`${request.method} ${[resource, id].filter(Boolean).join('/')}`]
  const withId = byRoute[`${request.method} ${[resource, ':id', action].filter(Boolean).join('/')}`]
  const handler = action === undefined && exact ? exact : id !== '' ? withId : undefined
  if (!handler) return nothingHere()
  try {
    return handler(world, request, id, apps)
  } catch (error) {
    if (error instanceof z.ZodError) return json(400, { error: z.prettifyError(error) })
    if (error instanceof SyntaxError) return json(400, { error: 'the body is not JSON' })
    throw error
  }
}

export function changeSettings(world: World, change: SettingsChange): Settings {
  const settings = Object.assign(world.settings, definedOf(SettingsChange.parse(change)))
  world.publications.settle()
  return settings
}

/** Lazily, one grant per step, so that a hundred thousand can be streamed. */
export function* issueToCrowd(world: World, crowd: Crowd): Generator<IssuedGrant> {
  const { count, prefix, scopes, access_expires_in: accessExpiresIn } = Crowd.parse(crowd)
  const options = accessExpiresIn === undefined ? {} : { accessExpiresIn }
  for (let made = 0; made < count; made += 1) {
    const person = world.people.addToCrowd(prefix)
    yield { person: person.id, ...world.grants.issue(person, scopes, options) }
  }
}

function describeGrant(grants: Grants, grant: Grant, reveal: boolean) {
  return {
    open_id: grant.openId,
    person: grant.person.id,
    scope: grant.scopes.join(','),
    created_at: new Date(grant.createdAt).toISOString(),
    rotations: grant.rotations,
    refresh_expires_at: new Date(grant.refreshExpiresAt).toISOString(),
    refresh_token_sha256: sha256(grant.refreshToken),
    ...(reveal && { refresh_token: grant.refreshToken }),
    access_tokens: grant.accessTokens.map((accessToken) => ({
      sha256: sha256(accessToken),
      expires_in: grants.expiresIn(accessToken),
      ...(reveal && { access_token: accessToken }),
    })),
  }
}

function describePerson(world: World, person: Person) {
  const { id, displayName, username, about, mayConnect } = person
  const openId = world.people.openIdOf(person)
  const grants = world.grants.ofPerson(person).map((grant) => describeGrant(world.grants, grant, false))
  return { id, open_id: openId, display_name: displayName, username, about, may_connect: mayConnect, grants }
}

function describeRefreshToken({ grants }: World, refreshToken: string): Answer {
  const record = grants.refreshTokenRecord(refreshToken)
  if (!record) return nothingHere()
  const { grant, presented, processed } = record
  return json(200, { open_id: grant.openId, live: grants.isLive(refreshToken), presented, processed })
}

function withPerson(world: World, id: string, describe: (person: Person) => object): Answer {
  const person = world.people.findByEither(id)
  return person ? json(200, describe(person)) : nothingHere('nobody by this id')
}

function* mapped<From, To>(items: Iterable<From>, change: (item: From) => To): Generator<To> {
  for (const item of items) yield change(item)
}
