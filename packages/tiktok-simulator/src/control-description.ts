/**
 * What `/_sim` takes and answers, route by route: `/_sim/openapi.json`. A route that is not described here does not compile, and every answer
 * that a test gets is held to it.
 */
import { z } from 'zod'
import { NewApp } from './apps.ts'
import { ScriptedDecision } from './authorize.ts'
import { ClockChange, longestSeconds } from './clock.ts'
import { evidenceOfSettings } from './evidence.ts'
import { FaultScript } from './faults.ts'
import { NamedFault } from './named-faults.ts'
import { NewPerson, PersonChange } from './person.ts'
import { Publication } from './posting/publication.ts'
import { PublicationStep } from './posting/steps.ts'
import { type defaultSettings, Settings, scopes } from './settings.ts'
import { counters } from './stats.ts'
import { Notice } from './webhooks.ts'

/** The client key is in every open_id, so it stays what it was at the start. */
export const SettingsChange = Settings.omit({ client_key: true }).partial()
export type SettingsChange = z.infer<typeof SettingsChange>

export const Crowd = z.strictObject({
  count: z.number().int().min(1).max(1_000_000).describe('How many people'),
  prefix: z
    .string()
    .regex(/^[a-z0-9_-]{1,40}$/)
    .default('crowd')
    .describe('Their ids are this, a dash and a number'),
  scopes: z
    .array(z.enum(scopes))
    .default(['user.info.basic', 'user.info.profile', 'user.info.stats', 'video.upload'])
    .describe('What each allows'),
  access_expires_in: z
    .number()
    .int()
    .min(0)
    .max(longestSeconds)
    .optional()
    .describe('Seconds of life of the first access token, when it should differ from the rest'),
})
export type Crowd = z.input<typeof Crowd>

export const Removal = z.strictObject({
  reason: z.literal([0, 1, 2, 3, 4, 5]).default(1).describe("TikTok's number of it; 1 is that the person did"),
  notify: z.boolean().default(true).describe('false: the notice is lost on its way'),
})
export const Shrunk = z.strictObject({ scopes: z.array(z.enum(scopes)).describe('Those that stay') })

const taken = {
  ClockChange,
  Crowd,
  FaultScript,
  NamedFault,
  NewApp,
  NewPerson,
  Notice,
  PersonChange,
  PublicationStep,
  Removal,
  ScriptedDecision,
  SettingsChange,
  Shrunk,
}

const time = (what: string) => z.iso.datetime().describe(what)
const count = (what: string) => z.number().int().min(0).describe(what)
const openId = z.string().describe("The person's, for this app")
const personId = z.string().describe("The person's, here")
const scope = z.string().describe('What is allowed, with commas')

const Grant = z.strictObject({
  open_id: openId,
  person: personId,
  scope,
  created_at: time('When they agreed, by the simulated clock'),
  rotations: count('How often its refresh token was replaced'),
  refresh_expires_at: time('When the refresh token dies, rotated or not'),
  refresh_token_sha256: z.string().describe('Of the live one, in hex'),
  refresh_token: z.string().optional().describe('Only when asked to reveal'),
  access_tokens: z
    .array(
      z
        .strictObject({
          sha256: z.string().describe('In hex'),
          expires_in: count('Seconds, by the simulated clock'),
          access_token: z.string().optional().describe('Only when asked to reveal'),
        })
        .describe('One of them'),
    )
    .describe('Those that work, and those that expired since the last refresh'),
})
const Person = z.strictObject({
  id: personId,
  open_id: openId,
  display_name: z.string().describe('As TikTok shows it'),
  username: z.string().describe('Without the @'),
  about: z.string().describe('What meeting them teaches'),
  may_connect: z.boolean().describe('false: consent comes back as access_denied'),
  grants: z.array(Grant).describe('What they allowed'),
})
const IssuedGrant = z.strictObject({
  person: personId,
  access_token: z.string().describe('Works at once'),
  refresh_token: z.string().describe('The live one'),
  expires_in: count('Seconds of life of the access token'),
  open_id: openId,
  refresh_expires_in: count('Seconds of life of the refresh token'),
  scope,
  token_type: z.literal('Bearer').describe('As TikTok says it'),
})
const Fault = z.strictObject({
  ...FaultScript.shape,
  id: z.string().describe('To forget it by'),
  process: z.boolean().describe('Whether TikTok does what was asked for'),
  hits: count('Calls met so far'),
})
const Delivery = z.strictObject({
  event: z.string().describe("TikTok's name of it"),
  body: z.string().describe('As it was sent'),
  signature: z.string().optional().describe('The TikTok-Signature header'),
  statuses: z.array(z.number().int()).describe('Of each answer so far; 0 where nobody answered'),
  state: z.enum(['sending', 'delivered', 'given_up', 'no_url']).describe('How far it is'),
})
const DoubleSpend = z.strictObject({
  open_id: openId,
  person: personId,
  refresh_token_sha256: z.string().describe('In hex'),
  processed_at: time('When a new pair was issued for it'),
  presented_at: time('When it came again'),
  presented: count('How many times so far'),
})

const Exchange = z.strictObject({
  id: count('Counts up'),
  at: time("When it came, by the machine's clock"),
  method: z.string().describe('As it was sent'),
  path: z.string().describe('Without the query'),
  query: z.string().describe('Secrets masked, as everywhere here'),
  app: z.string().nullable().describe('The client key that was named, or is behind the token'),
  person: z.string().nullable().describe('Whom it is about, where that is known'),
  status: z.number().int().nullable().describe('What was sent; 0 when the connection broke, null while it is under way'),
  milliseconds: z.number().int().nullable().describe('How long it took; null while it is under way'),
  tiktok_status: z.number().int().nullable().describe('What TikTok would say; null where a fault kept it from being asked'),
  error: z.string().nullable().describe("TikTok's word for what is wrong, or `ok`"),
  message: z.string().nullable().describe('Its sentence'),
  rule: z.string().nullable().describe('What decided: a row of the evidence'),
  standing: z.enum(['documented', 'observed', 'inferred', 'ours']).nullable().describe('How well that is known'),
  known: z.string().nullable().describe('What is known'),
  source: z.string().nullable().describe('Where from'),
  fault: z.string().nullable().describe('The one that met it'),
  request: z.string().describe('Its telling headers and its body'),
  answer: z.string().describe('What TikTok would say'),
})

const App = z.strictObject({
  ...Settings.shape,
  developer: z.string().describe('Whose it is; `default` for the first'),
  control: z.string().describe('/_sim of this app alone'),
})

const told = {
  App,
  Apps: z.strictObject({ apps: z.array(App).describe('The one that the simulator started with first') }),
  Clock: z.strictObject({ now: time('What it shows'), offset_seconds: z.number().describe("Ahead of the machine's") }),
  Decided: z.strictObject({ redirect_to: z.string().describe('Where the browser would go') }),
  Deliveries: z.strictObject({ deliveries: z.array(Delivery).describe('The last thousand, oldest first') }),
  Delivery,
  Description: z.record(z.string(), z.unknown()),
  DoubleSpend,
  Failure: z.strictObject({ error: z.string().describe('What is wrong, and what to do') }),
  Exchange,
  Exchanges: z.strictObject({
    revision: count('To ask for what is newer: `?after=`'),
    anew: z.boolean().describe('true: what was told by that revision is forgotten, and these are all there are'),
    requests: z.array(Exchange).describe('Newest first, five hundred at most'),
  }),
  Fault,
  Faults: z.strictObject({ faults: z.array(Fault).describe('Oldest first, used up or not') }),
  Grant,
  Grants: z.strictObject({ grants: z.array(Grant).describe('In order of consent') }),
  Health: z.strictObject({ status: z.literal('ok').describe('It is up') }),
  IssuedGrant,
  IssuedGrants: z.array(IssuedGrant),
  Nothing: z.strictObject({}),
  NotFromHere: z.strictObject({
    error: z.literal('not from here').describe('This step comes elsewhere'),
    publication: Publication,
  }),
  ParameterError: z.strictObject({
    error: z.literal('param_error').describe("TikTok's word"),
    error_type: z.string().describe('The parameter to correct'),
    errCode: z.number().int().optional().describe("TikTok's number, where one has been seen"),
  }),
  People: z.strictObject({ people: z.array(Person).describe('In order of arrival, crowds left out') }),
  Person,
  Publication,
  Publications: z.strictObject({ publications: z.array(Publication).describe('Oldest first') }),
  RefreshToken: z.strictObject({
    open_id: openId,
    live: z.boolean().describe('Whether TikTok would take it'),
    presented: count('How often it came'),
    processed: count('How often a new pair was issued for it'),
  }),
  Removed: z.strictObject({ removed: count('How many grants ended') }),
  Settings,
  Snapshots: z.strictObject({ snapshots: z.array(z.string()).describe('Their names') }),
  Text: z.string(),
  Stats: z.strictObject({
    ...mapped(counters, (name) => count(name.replaceAll('_', ' '))),
    double_spends: z.array(DoubleSpend).describe('The first thousand'),
  }),
}

/** Of each schema, in a few words. */
const words: Record<keyof typeof taken | keyof typeof told, string> = {
  App: 'An app at TikTok, with its settings',
  Apps: 'Those that there are',
  Clock: 'The simulated clock',
  ClockChange: 'A step, or a place',
  Crowd: 'People to be made, each with a grant',
  Decided: 'A decision, and where it leads',
  Deliveries: 'Notices that were sent',
  Delivery: 'One notice on its way, or arrived',
  Description: 'An OpenAPI document',
  DoubleSpend: 'A refresh token that came back after it had been processed',
  Failure: 'Why not',
  Exchange: 'A request, and what TikTok says to it',
  Exchanges: 'What was asked of TikTok, and what it said',
  Fault: 'A fault that was scripted, and what it met',
  Faults: 'Those that were scripted',
  FaultScript: 'A fault for the next calls',
  Grant: 'What a person allowed the app',
  Grants: 'Those that have not ended',
  Health: 'A sign of life',
  IssuedGrant: 'A new person with a token set',
  IssuedGrants: 'A crowd',
  NamedFault: 'How often a fault with a name is met, and whom',
  NewApp: 'An app to be added; what is left out is as the simulator was started, or made up',
  NewPerson: 'Somebody to be added',
  Nothing: 'Nothing more to say',
  NotFromHere: 'A step that cannot be taken as things are',
  Notice: 'A notice to be sent, genuine or not',
  ParameterError: "Where a person would see TikTok's own error page",
  People: 'Who there is',
  Person: 'Somebody with an account',
  PersonChange: 'What is to be different',
  Publication: 'A draft or a post, how far it is and what became of it',
  Publications: 'What was begun',
  PublicationStep: 'What happens to it next',
  RefreshToken: 'What became of a refresh token',
  Removal: 'Why, and whether the app hears of it',
  Removed: 'What came of a removal',
  ScriptedDecision: "A person's answer on the consent page",
  Settings: "What the app's page in TikTok's portal would say, and how TikTok behaves",
  SettingsChange: 'Those that are to be different',
  Shrunk: 'What is left of a grant',
  Snapshots: 'Worlds that were saved',
  Stats: 'What happened, counted',
  Text: 'To be shown, or run, by a browser',
}

interface Described {
  readonly summary: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: keyof typeof taken
  /** By status. 400, 401, 403, 404, 413 and 415 are added where they can happen. */
  readonly answers: Readonly<Record<number, keyof typeof told>>
  /** `?format=ndjson` sends a line for each of these. */
  readonly lines?: keyof typeof told
  /** Text of this type, and no JSON. */
  readonly type?: string
  /** Who asks does not matter, or neither does from where. */
  readonly open?: 'to all' | 'without a token'
}

const whose = { open_id: 'Only theirs', person: 'Only theirs, by id or open_id' }

const routes = {
  'GET openapi.json': { summary: 'Describe /_sim, as OpenAPI', answers: { 200: 'Description' } },
  'GET health': { summary: 'Say that it is there', answers: { 200: 'Health' }, open: 'to all' },
  'GET inspector': {
    summary: 'Show each request and why it was answered so, on a page',
    answers: { 200: 'Text' },
    type: 'text/html',
    open: 'without a token',
  },
  'GET inspector.js': {
    summary: "Send the page's script",
    answers: { 200: 'Text' },
    type: 'text/javascript',
    open: 'without a token',
  },
  'GET requests': {
    summary: 'Show the last requests, and why they were answered so',
    query: {
      after: 'A revision: only what is newer',
      app: 'Only of this client key',
      path: 'Only where this is part of the path',
    },
    answers: { 200: 'Exchanges' },
  },
  'GET apps': { summary: 'Show the apps', answers: { 200: 'Apps' } },
  'POST apps': { summary: 'Add an app', body: 'NewApp', answers: { 201: 'App', 409: 'Failure' } },
  'GET apps/:id': { summary: 'Show an app', answers: { 200: 'App' } },
  'DELETE apps/:id': { summary: 'Remove an app with all that belongs to it', answers: { 200: 'Nothing', 409: 'Failure' } },
  'POST reset': { summary: 'Put the world back to the start', answers: { 200: 'Nothing' } },
  'GET snapshots': { summary: 'Show the saved worlds', answers: { 200: 'Snapshots' } },
  'POST snapshots/:id': { summary: 'Save the world by this name', answers: { 201: 'Snapshots' } },
  'POST snapshots/:id/load': { summary: 'Put the world back as it was saved', answers: { 200: 'Nothing' } },
  'DELETE snapshots/:id': { summary: 'Forget a saved world', answers: { 200: 'Nothing' } },
  'GET clock': { summary: 'Show the simulated clock', answers: { 200: 'Clock' } },
  'POST clock': { summary: 'Step the simulated clock, or set it', body: 'ClockChange', answers: { 200: 'Clock' } },
  'GET settings': { summary: 'Show the settings', answers: { 200: 'Settings' } },
  'POST settings': { summary: 'Change settings', body: 'SettingsChange', answers: { 200: 'Settings' } },
  'POST authorize': {
    summary: 'Decide on the consent page as a person would',
    body: 'ScriptedDecision',
    answers: { 200: 'Decided', 400: 'ParameterError' },
  },
  'GET people': { summary: 'Show who there is', answers: { 200: 'People' } },
  'POST people': { summary: 'Add somebody', body: 'NewPerson', answers: { 201: 'Person', 409: 'Failure' } },
  'GET people/:id': { summary: 'Show one person with their grants', answers: { 200: 'Person' } },
  'PATCH people/:id': { summary: 'Change a profile', body: 'PersonChange', answers: { 200: 'Person' } },
  'POST people/:id/remove-app': {
    summary: 'Remove the app from a person, and tell it by webhook',
    body: 'Removal',
    answers: { 200: 'Removed' },
  },
  'POST people/:id/scopes': { summary: 'Take back single scopes', body: 'Shrunk', answers: { 200: 'Person' } },
  'GET grants': {
    summary: 'Show the live grants',
    query: { ...whose, reveal: 'With the tokens themselves', format: 'ndjson for lines' },
    answers: { 200: 'Grants' },
    lines: 'Grant',
  },
  'POST grants': {
    summary: 'Make a crowd, each with a grant',
    query: { format: 'ndjson for lines' },
    body: 'Crowd',
    answers: { 200: 'IssuedGrants' },
    lines: 'IssuedGrant',
  },
  'GET refresh-tokens': {
    summary: 'Show what became of a refresh token',
    query: { token: 'The refresh token' },
    answers: { 200: 'RefreshToken', 404: 'Failure' },
  },
  'GET publications': {
    summary: 'Show what was begun to be published',
    query: { ...whose, format: 'ndjson for lines' },
    answers: { 200: 'Publications' },
    lines: 'Publication',
  },
  'GET publications/:id': { summary: 'Show one publication with its posts', answers: { 200: 'Publication' } },
  'POST publications/:id': {
    summary: 'Let happen what TikTok or the person does next',
    body: 'PublicationStep',
    answers: { 200: 'Publication', 409: 'NotFromHere' },
  },
  'GET stats': { summary: 'Show what happened, counted', answers: { 200: 'Stats' } },
  'POST stats/reset': { summary: 'Start counting over', answers: { 200: 'Stats' } },
  'GET faults': { summary: 'Show the scripted faults', answers: { 200: 'Faults' } },
  'POST faults': { summary: 'Script a fault', body: 'FaultScript', answers: { 201: 'Fault' } },
  'POST faults/:id': { summary: 'Script a fault that has a name', body: 'NamedFault', answers: { 201: 'Fault' } },
  'DELETE faults': { summary: 'Forget all faults', answers: { 200: 'Faults' } },
  'DELETE faults/:id': { summary: 'Forget a fault', answers: { 200: 'Nothing' } },
  'GET webhooks': { summary: 'Show the notices that were sent', answers: { 200: 'Deliveries' } },
  'POST webhooks': { summary: 'Send a notice, genuine or not', body: 'Notice', answers: { 202: 'Deliveries' } },
} as const satisfies Record<string, Described>
export type ControlRoute = keyof typeof routes

const reasons: Record<number, string> = {
  200: 'Done.',
  201: 'It is there now.',
  202: 'It is on its way.',
  400: 'The body does not fit, or what it asks for ends on an error page.',
  401: 'The control token is missing or wrong.',
  403: 'A web page of another site asks, or somebody by a name that anyone may own.',
  404: 'Nothing of that id.',
  409: 'It cannot be done as things are.',
  413: 'The body is too large.',
  415: 'The body is not application/json.',
}

/** @param origin where it is asked, or will be */
export function describeControl(origin: string) {
  const paths: Record<string, Record<string, object>> = {}
  for (const [route, described] of Object.entries<Described>(routes)) {
    const [method = '', path = ''] = route.split(' ')
    const place = `/_sim/${path.replace(':id', '{id}')}`
    paths[place] = { ...paths[place], [method.toLowerCase()]: operation(method, path, described) }
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'TikTok simulator: control',
      version: '1',
      contact: { name: 'Whoever runs this simulator' },
      license: { name: 'Proprietary', identifier: 'LicenseRef-Proprietary' },
      description:
        'What tests and tools tell the simulator and ask of it. What TikTok has is described by TikTok. ' +
        'Behind /_sim/apps/{client_key}/ stands the same for that app alone; without it the app is meant that the simulator started with.',
    },
    servers: [{ url: origin }],
    security: [{}, { controlToken: [] }],
    tags: [{ name: 'control', description: 'Of the simulator; TikTok has nothing like it.' }],
    paths,
    components: {
      securitySchemes: {
        controlToken: { type: 'http', scheme: 'bearer', description: 'Where the simulator was started with --control-token.' },
      },
      schemas: schemas(),
    },
  }
}

function operation(method: string, path: string, { summary, query = {}, body, answers, lines, type, open }: Described): object {
  const refused = [
    ...(open ? [] : [401]),
    ...(open === 'to all' ? [] : [403]),
    ...(path.includes(':id') ? [404] : []),
    ...(body ? [400, 413, 415] : []),
  ]
  const all: Record<number, readonly (keyof typeof told)[]> = {}
  for (const status of refused) all[status] = ['Failure']
  for (const [status, name] of Object.entries(answers)) all[Number(status)] = [...new Set([name, ...(all[Number(status)] ?? [])])]
  return {
    operationId: `${method.toLowerCase()}${path.replace(/(?:^|\W+)(\w)/g, (_, letter: string) => letter.toUpperCase())}`,
    tags: ['control'],
    summary,
    description: `${summary}.`,
    ...(open && { security: [] }),
    parameters: [
      ...(path.includes(':id')
        ? [
            {
              ...parameter('id', 'An id or an open_id, the client key of an app, the name of a snapshot or fault'),
              in: 'path',
              required: true,
            },
          ]
        : []),
      ...Object.entries(query).map(([name, description]) => parameter(name, description)),
    ],
    ...(body && { requestBody: { required: true, content: { 'application/json': { schema: named(body) } } } }),
    responses: Object.fromEntries(
      Object.entries(all).map(([status, names]) => [
        status,
        {
          description: reasons[Number(status)] ?? '',
          content: {
            [(Number(status) < 300 && type) || 'application/json']: {
              schema: names.length === 1 ? named(names[0] ?? '') : { description: 'Either', oneOf: names.map(named) },
            },
            ...(lines && Number(status) < 300 && { 'application/x-ndjson': { schema: named(lines) } }),
          },
        },
      ]),
    ),
  }
}

function parameter(name: string, description: string): object {
  return { name, in: 'query', required: false, description, schema: { type: 'string' } }
}

function named(name: string): object {
  return { $ref: `#/components/schemas/${name}` }
}

function schemas(): Record<string, object> {
  const made = { ...jsonSchemas(taken, 'input'), ...jsonSchemas(told, 'output') }
  for (const name of ['App', 'NewApp', 'Settings', 'SettingsChange']) {
    const { properties = {} } = made[name] ?? {}
    for (const [setting, schema] of Object.entries(properties))
      if (Object.hasOwn(evidenceOfSettings, setting))
        schema.description = evidenceOfSettings[setting as keyof typeof defaultSettings].known
  }
  return made
}

interface JsonSchema {
  description?: string
  properties?: Record<string, JsonSchema>
}

function jsonSchemas(byName: Readonly<Record<string, z.ZodType>>, io: 'input' | 'output'): Record<string, JsonSchema> {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(byName)) registry.add(schema, { id })
  const made = z.toJSONSchema(registry, { io, unrepresentable: 'any', uri: (id) => `#/components/schemas/${id}` }).schemas
  return Object.fromEntries(
    Object.entries(made).map(([id, { $id, $schema, ...schema }]) => [
      id,
      { description: words[id as keyof typeof words], ...schema } as JsonSchema,
    ]),
  )
}

function mapped<Name extends string, To>(names: Record<Name, unknown>, change: (name: Name) => To): Record<Name, To> {
  return Object.fromEntries(Object.keys(names).map((name) => [name, change(name as Name)])) as Record<Name, To>
}
