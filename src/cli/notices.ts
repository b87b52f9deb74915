// `notices`: what TikTok told us, what we did about it, and the full text of what we did not understand.
import { listNotices } from '../db/notices.ts'
import { onDatabase } from './database.ts'
import { parse, print, say, UsageError, wholeNumber } from './terminal.ts'

/** It is somebody else's text even when TikTok signed it: escaped, so that it cannot control the terminal, and cut off here. */
const shownCharacters = 2000

export async function notices(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, {
    unsettled: { type: 'boolean', default: false },
    unknown: { type: 'boolean', default: false },
    limit: { type: 'string' },
  })
  if (positionals[0] !== 'list') throw new UsageError('notices knows list.')
  if (values.unsettled && values.unknown) throw new UsageError('notices list takes --unsettled or --unknown, not both.')
  const which = values.unsettled ? 'unsettled' : values.unknown ? 'kept' : 'all'
  const limit = wholeNumber('--limit', values.limit ?? '100', 1, 100_000)
  return onDatabase(async (db) => {
    const rows = await listNotices(db, which, limit)
    for (const { receivedAt, saidAt, event, outcome, accountId, attempts, body, settledAt } of rows) {
      const state = settledAt ? (outcome ?? '-') : `waits, ${attempts} attempts`
      const text = body === null ? [] : [JSON.stringify(body.toString('utf8').slice(0, shownCharacters))]
      print([receivedAt.toISOString(), `said ${saidAt.toISOString()}`, event, state, accountId ?? '-', ...text].join('\t'))
    }
    say(rows.length === limit ? `the newest ${limit}; --limit shows more` : `${rows.length} notices`)
  })
}
