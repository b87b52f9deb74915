// A process that delivers events, for the test that kills it: DATABASE_URL, the endpoint's URL and its secret as arguments.

import { openDb } from '../../src/db/client.ts'
import { createDispatcher } from '../../src/events/dispatcher.ts'
import { createMetrics } from '../../src/metrics.ts'
import { createLog } from '../../src/telemetry.ts'

const [databaseUrl = '', url = '', secret = ''] = process.argv.slice(2)
const db = openDb({ url: databaseUrl })
const dispatcher = createDispatcher({ db, log: createLog('silent'), metrics: createMetrics() }, { url, secrets: [secret] })
for (;;) {
  const restMs = await dispatcher.round()
  await new Promise((resolve) => setTimeout(resolve, Math.min(restMs, 50)))
}
