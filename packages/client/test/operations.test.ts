// The client's methods are the document's operations: none is missing, and each goes where it says.
import { readFileSync } from 'node:fs'
import t from 'tap'
import type { TikTokAccounts } from '../src/client.ts'
import { type Document, sdkOperations } from '../wire-types.ts'
import { json, scripted } from './answers.ts'

const document = JSON.parse(readFileSync(new URL('../../../openapi/openapi.json', import.meta.url), 'utf8')) as Document
const nothing = { events: [], entries: [], uploads: [], accounts: [], sessions: [], tokens: [], next_cursor: null }

/** Every method that is one call. */
const calls: ((tiktok: TikTokAccounts) => Promise<unknown>)[] = [
  ({ connectSessions }) => connectSessions.open({ ownerId: 'user_42', returnUrl: 'https://app.example.com/' }),
  ({ connectSessions }) => connectSessions.get('cs_1'),
  ({ connectSessions }) => connectSessions.list().next(),
  ({ connectSessions }) => connectSessions.complete('/?connect_session=cs_1&confirm=t', { ownerId: 'user_42' }),
  ({ accounts }) => accounts.list().next(),
  ({ accounts }) => accounts.get('acc_1'),
  ({ accounts }) => accounts.label('acc_1', null),
  ({ accounts }) => accounts.verify('acc_1'),
  ({ accounts }) => accounts.health('acc_1'),
  ({ accounts }) => accounts.avatar('acc_1'),
  ({ accounts }) => accounts.timeline('acc_1').next(),
  ({ accounts }) => accounts.disconnect('acc_1'),
  ({ accounts }) => accounts.token('acc_1'),
  ({ accounts }) => accounts.tokens(['acc_1']),
  ({ accounts }) => accounts.tokenRejected('acc_1', 1),
  ({ uploads }) => uploads.quota('acc_1'),
  ({ uploads }) => uploads.readiness('acc_1'),
  ({ uploads }) => uploads.reserve('acc_1', { key: 'k' }),
  ({ uploads }) => uploads.list('acc_1').next(),
  ({ uploads }) => uploads.get('acc_1', 'upl_1'),
  ({ uploads }) => uploads.commit('acc_1', 'upl_1'),
  ({ uploads }) => uploads.release('acc_1', 'upl_1'),
  ({ owners }) => owners.get('user_42'),
  ({ owners }) => owners.setTier('user_42', 'free'),
  ({ owners }) => owners.erase('user_42'),
  ({ events }) => events.page(),
  ({ audit }) => audit.page(),
]

t.test('every operation of the JSON API has its method', async (t) => {
  const reached: string[] = []
  for (const call of calls) {
    const { tiktok } = scripted([json(nothing)], { onRequest: ({ operation }) => reached.push(operation) })
    await call(tiktok)
  }
  t.strictSame(
    reached.toSorted(),
    sdkOperations(document)
      .map(({ operation }) => operation.operationId)
      .toSorted(),
  )
})
