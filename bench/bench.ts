// `npm run bench`: the quick figures. `npm run bench -- NAME [options]`: one of them, with its own options.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const benches = {
  vend: 'handing out tokens, beside a bare route that only selects the row',
  reservations: 'upload slots, beside raw single-row updates',
  start: 'from the start of a process until it is ready, and the memory it then holds',
  journal: 'what a million refreshes take on disk, and how they are replayed',
  connections: 'how soon a client whose connections are killed is as quick again',
  places: 'fifty connects at once for three places',
  reseal: 'a change of vault keys under load, three replicas',
  accounts: 'whether anything gets dearer from a thousand accounts to a million',
  replicas: 'what one to ten replicas cost one PostgreSQL, idle and at work',
  growth: 'ten million accounts, simulated with the costs of the last report',
  metrics: 'what the metrics cost with a million accounts',
  refresh: 'sustained refreshing with 100,000 accounts due',
  report: 'all of the figures that are compared, as docs/benchmarks.md; `all` is the same',
}
/** A few minutes together; the others take longer and are asked for by name. */
const quick = ['vend', 'reservations']

const [wanted, ...options] = process.argv.slice(2)
const name = wanted === 'all' ? 'report' : wanted
if (name !== undefined && !Object.hasOwn(benches, name)) {
  console.error(
    `npm run bench [-- NAME [options]]\n\n${Object.entries(benches)
      .map(([known, about]) => `  ${known.padEnd(14)}${about}`)
      .join('\n')}`,
  )
  process.exit(1)
}
let failed = 0
for (const bench of name === undefined ? quick : [name]) {
  console.error(`\n${bench}: ${benches[bench as keyof typeof benches]}`)
  const { status } = spawnSync(process.execPath, [fileURLToPath(new URL(`${bench}.ts`, import.meta.url)), ...options], {
    stdio: 'inherit',
  })
  if (status !== 0) failed++
}
process.exitCode = failed === 0 ? 0 : 1
