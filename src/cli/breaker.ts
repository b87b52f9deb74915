// `breaker`: whether refreshes and looks at profiles wait because of what TikTok answers, and letting go of that by hand.
import { readBreaker, resetBreaker } from '../db/circuit-breakers.ts'
import { readBrakes, releaseRefusals } from '../db/refusals.ts'
import { onDatabase, operator } from './database.ts'
import { nothingMore, parse, print, say, UsageError } from './terminal.ts'

export async function breaker(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, { json: { type: 'boolean', default: false } })
  const [command, ...more] = positionals
  nothingMore(more)
  if (command === 'status') return status(values.json)
  if (command === 'release') return release()
  throw new UsageError('breaker knows status and release.')
}

async function status(json: boolean): Promise<void> {
  return onDatabase(async (db) => {
    const [endpoint, brakes] = await Promise.all([readBreaker(db), readBrakes(db)])
    const lines = [
      {
        name: 'token',
        state: endpoint.failures === 0 ? 'closed' : 'open',
        reason: endpoint.reason,
        probe_in_seconds: Math.ceil(endpoint.openForSeconds),
        refused: null as number | null,
        allowed: null as number | null,
      },
      ...brakes.map(({ endpoint, holds, probeInSeconds, refused, allowed }) => ({
        name: `${endpoint}_refused`,
        state: holds ? 'open' : 'closed',
        reason: holds ? (endpoint === 'token' ? 'invalid_grant' : 'access_token_invalid') : null,
        probe_in_seconds: Math.ceil(probeInSeconds),
        refused,
        allowed,
      })),
    ]
    if (json) {
      print(JSON.stringify(lines))
      return
    }
    for (const { name, state, reason, probe_in_seconds, refused, allowed } of lines) {
      const probe = state === 'open' ? `next probe in ${probe_in_seconds} s` : '-'
      const counted = refused === null ? '-' : `${refused} refused in two minutes, ${allowed} may be`
      print([name, state, reason ?? '-', probe, counted].join('\t'))
    }
  })
}

async function release(): Promise<void> {
  return onDatabase(async (db) => {
    const again = await releaseRefusals(db, 'token', operator)
    const lookedAt = await releaseRefusals(db, 'user_info', operator)
    const closed = await resetBreaker(db, operator)
    if (again !== null) {
      print(`token_refused is released; ${again} refused accounts are asked about once more, one after the other`)
      say('Who is refused again is told to come back. If too many are, the brake holds again.')
    }
    if (lookedAt !== null) print('user_info_refused is released')
    if (closed) print('token is closed')
    if (again === null && lookedAt === null && !closed) print('nothing was open')
  })
}
