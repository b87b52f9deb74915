// A process of its own that spills until it is killed, and says each id that it was told is safe: DIR and VAULT_KEYS from the
// environment, COUNT of entries (or for ever).
import { setTimeout } from 'node:timers/promises'
import { openJournal } from '../../src/vault/journal.ts'
import { parseKeyring } from '../../src/vault/keyring.ts'
import { createVault } from '../../src/vault/vault.ts'

const { DIR = '', VAULT_KEYS = '', COUNT = 'Infinity' } = process.env
const spill = await openJournal({
  dir: DIR,
  vault: createVault(parseKeyring(VAULT_KEYS)),
  onTrouble: ({ doing, error }) => process.stdout.write(`trouble ${doing} ${(error as NodeJS.ErrnoException).code}\n`),
})

let next = 0
await Promise.all(
  Array.from({ length: 20 }, async () => {
    while (next < Number(COUNT)) {
      const id = `${process.pid}_${next++}`
      const body = { access_token: `act.${id}`, refresh_token: `rft.${id}`, padding: 'x'.repeat(2_000) }
      const isSafe = await spill.write({ id, kind: 'refresh', subject: 'acc_1', body })
      process.stdout.write(`${isSafe ? 'safe' : 'refused'} ${id}\n`)
    }
  }),
)
process.stdout.write(`done ${spill.count()}\n`)
await setTimeout(60_000) // to be killed: nothing here ends in order
