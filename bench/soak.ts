// `npm run soak -- --minutes N --seed S`: a long randomized run over three real processes. The seed is printed, so that it can be repeated.
// With `--restores` a backup takes the database's place every minute.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { migrate } from '../src/db/migrate.ts'
import { startRig } from '../test/rig/rig.ts'
import { soak } from '../test/rig/soak.ts'
import { startEmbeddedPostgres } from '../tools/embedded-postgres/embedded.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string' },
    accounts: { type: 'string', default: '40' },
    restores: { type: 'boolean', default: false },
  },
})
const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed)
const seconds = Number(values.minutes) * 60
console.log(
  `seed ${seed}, ${values.minutes} minutes; repeat with: npm run soak -- --minutes ${values.minutes} --seed ${seed}${values.restores ? ' --restores' : ''}`,
)

const dataDir = await mkdtemp(join(tmpdir(), 'tiktok-oauth-service-soak-'))
const server = await startEmbeddedPostgres({ dataDir, throwaway: true })
const endings: (() => unknown)[] = []
await migrate(server.url)
try {
  const rig = await startRig({ teardown: (end) => endings.push(end) }, server.url)
  const { record, ...report } = await soak(rig, {
    seconds,
    seed,
    accounts: Number(values.accounts),
    deadlineMs: 12_000,
    restoring: values.restores ? server.url : undefined,
    progress: (line) => console.log(line),
  })
  console.log(report)
  if (report.violations.length > 0) {
    const file = join(tmpdir(), `soak-${seed}.log`)
    await writeFile(file, [...report.violations, '', ...record, '', rig.logs()].join('\n'))
    console.log(`everything that was done is in ${file}`)
    process.exitCode = 1
  }
} finally {
  for (const end of endings.toReversed()) await end()
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}
console.log(process.exitCode ? 'violations found' : 'violations: 0')
