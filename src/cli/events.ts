// `events`: who gets events pushed, what could not be delivered, and sending it again.
import { enableEndpoint, listDeadLetters, listEndpoints, resendDeadLetters } from '../db/deliveries.ts'
import { onDatabase, operator } from './database.ts'
import { parse, print, say, UsageError, wholeNumber } from './terminal.ts'

export async function events(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, { all: { type: 'boolean', default: false }, limit: { type: 'string' } })
  switch (positionals[0]) {
    case 'endpoints':
      return endpoints()
    case 'dead':
      return dead(wholeNumber('--limit', values.limit ?? '100', 1, 100_000))
    case 'resend':
      return resend(positionals[1], values.all)
    case 'enable':
      return enable(positionals[1])
    default:
      throw new UsageError('events knows endpoints, dead, resend and enable.')
  }
}

async function endpoints(): Promise<void> {
  return onDatabase(async (db) => {
    for (const { id, origin, disabledAt, waiting, dead } of await listEndpoints(db)) {
      const state = disabledAt ? `answered 410 at ${disabledAt.toISOString()}` : 'live'
      print([id, origin, state, `${waiting} waiting`, `${dead} dead`].join('\t'))
    }
  })
}

async function dead(limit: number): Promise<void> {
  return onDatabase(async (db) => {
    const letters = await listDeadLetters(db, limit)
    for (const { eventId, type, occurredAt, endpointId, origin, attempts, lastCode, deadAt } of letters) {
      const tries = `${attempts} attempts, the last ${lastCode ?? 'unknown'}`
      print([eventId, type, occurredAt.toISOString(), endpointId, origin, tries, `given up ${deadAt.toISOString()}`].join('\t'))
    }
    say(letters.length === limit ? `the newest ${limit}; --limit shows more` : `${letters.length} dead letters`)
  })
}

async function resend(eventId: string | undefined, all: boolean): Promise<void> {
  if ((eventId === undefined) !== all)
    throw new UsageError('events resend needs the id of an event, or --all; `events dead` shows them.')
  return onDatabase(async (db) => {
    const count = await resendDeadLetters(db, eventId ?? null, operator)
    if (count === 0 && eventId !== undefined)
      throw new UsageError(`${JSON.stringify(eventId)} is not a dead letter; \`events dead\` lists them.`)
    print(`${count} deliveries start again with the first attempt`)
    for (const { id, origin, disabledAt } of await listEndpoints(db))
      if (disabledAt) say(`${origin} had answered 410: its events wait until \`events enable ${id}\` or a new configuration`)
  })
}

async function enable(endpointId: string | undefined): Promise<void> {
  if (endpointId === undefined) throw new UsageError('events enable needs the id of an endpoint; `events endpoints` shows them.')
  return onDatabase(async (db) => {
    if (!(await enableEndpoint(db, endpointId, operator)))
      throw new UsageError(`There is no endpoint ${JSON.stringify(endpointId)}; \`events endpoints\` shows them.`)
    print(`${endpointId} is live: it gets everything it missed, up to 30 days back`)
  })
}
