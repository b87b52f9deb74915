// A process of its own that journals until it is killed, and says each attempt that it was told is safe: DIR and VAULT_KEYS from the
// environment, COUNT of entries (or for ever).
import { setTimeout } from 'node:timers/promises'
import { openJournal } from '../../src/journal/journal.ts'
import { parseKeyring } from '../../src/vault/keyring.ts'
import { createVault } from '../../src/vault/vault.ts'

const { DIR = '', VAULT_KEYS = '', COUNT = 'Infinity' } = process.env
const journal = await openJournal({
  dir: DIR,
  id: `rep_${process.pid}`,
  databaseId: 'db_1',
  vault: createVault(parseKeyring(VAULT_KEYS)),
  onTrouble: ({ doing, error }) => process.stdout.write(`trouble ${doing} ${(error as NodeJS.ErrnoException).code}\n`),
})

let next = 0
await Promise.all(
  Array.from({ length: 20 }, async () => {
    while (next < Number(COUNT)) {
      const id = `${process.pid}_${next++}`
      const body = { access_token: `act.${id}`, refresh_token: `rft.${id}`, padding: 'x'.repeat(2_000) }
      const { durable } = await journal.write({ kind: 'refresh', subject: 'acc_1', generation: 2, body })
      process.stdout.write(`${durable ? 'safe' : 'refused'} ${id}\n`)
    }
  }),
)
process.stdout.write(`done ${journal.count()}\n`)
await setTimeout(60_000) // to be killed: nothing here ends in order
