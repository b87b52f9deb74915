// The second place of the journal: written soon, never in the way, and enough to start from when the first is lost.
import { cp, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type JournalTrouble, openJournal } from '../../src/journal/journal.ts'
import type { Entry } from '../../src/journal/sealing.ts'
import { generateVaultKey, parseKeyring } from '../../src/vault/keyring.ts'
import { createVault } from '../../src/vault/vault.ts'
import { eventually } from '../rig/eventually.ts'

const vault = createVault(parseKeyring(generateVaultKey('k1')))
const entry: Entry = { kind: 'refresh', subject: 'acc_1', generation: 2, body: { answer: 'x'.repeat(400) } }

async function twoPlaces(t: Test) {
  const home = t.testdir()
  const [dir, copyDir] = [join(home, 'journal'), join(home, 'second')]
  const troubles: JournalTrouble[] = []
  const open = async (id: string, place = dir) => {
    const onTrouble = (trouble: JournalTrouble) => troubles.push(trouble)
    const journal = await openJournal({ dir: place, copyDir, id, databaseId: 'db_1', vault, onTrouble, segmentBytes: 1500 })
    t.teardown(() => journal.close())
    return journal
  }
  const same = async (id: string) => {
    const names = async (place: string) =>
      (await readdir(join(place, id)).catch(() => [] as string[])).filter((name) => name !== 'alive').sort()
    const [here, there] = [await names(dir), await names(copyDir)]
    if (here.join() !== there.join()) return false
    for (const name of here) {
      if (!(await readFile(join(dir, id, name))).equals(await readFile(join(copyDir, id, name)))) return false
    }
    return here.length > 0
  }
  return { dir, copyDir, troubles, open, same }
}

t.test('the second place has the same bytes within a moment, and the same names', async (t) => {
  const { open, same, troubles } = await twoPlaces(t)
  const journal = await open('rep_1')
  for (let n = 0; n < 9; n++) journal.recorded(await journal.write({ ...entry, subject: `acc_${n}` }))
  await eventually('both are the same', () => same('rep_1'))
  await eventually('nothing is behind', () => journal.copyLagSeconds === 0)
  await journal.write(entry)
  t.ok((journal.copyLagSeconds ?? -1) >= 0)
  await journal.close()
  t.ok(await same('rep_1'), 'at its end the process leaves both the same')
  t.same(troubles, [])
})

t.test('a second place that is away is no trouble of a write, and is caught up with', async (t) => {
  const { copyDir, open, same, troubles } = await twoPlaces(t)
  await writeFile(copyDir, 'a file where the volume should be')
  const journal = await open('rep_1')
  for (let n = 0; n < 9; n++) t.match(await journal.write({ ...entry, subject: `acc_${n}` }), { durable: true })
  await eventually('it is told of', () => troubles.length > 0)
  t.ok(troubles.every(({ doing }) => doing === 'copy'))
  await eventually('and its lag grows', () => (journal.copyLagSeconds ?? 0) > 0.2)
  await rm(copyDir)
  await eventually('it has caught up', () => same('rep_1'))
  await eventually('and there is no lag', () => journal.copyLagSeconds === 0)
})

t.test('the journal of a lost machine is read from the second place', async (t) => {
  const { dir, copyDir, open, same } = await twoPlaces(t)
  const lost = await open('rep_1')
  await lost.write(entry)
  await eventually('both are the same', () => same('rep_1'))
  await cp(copyDir, `${copyDir}-kept`, { recursive: true, preserveTimestamps: true })
  await lost.close()
  await rm(dir, { recursive: true })
  await rm(copyDir, { recursive: true })
  await cp(`${copyDir}-kept`, copyDir, { recursive: true, preserveTimestamps: true })
  const next = await open('rep_2')
  t.same((await next.pending()).entries, [], 'while its process may live, it is left to it')
  const longAgo = new Date(Date.now() - 120_000)
  await utimes(join(copyDir, 'rep_1', 'alive'), longAgo, longAgo)
  const { entries } = await next.pending()
  t.match(entries, [{ kind: 'refresh', subject: 'acc_1', journalId: 'rep_1' }])
  for (const each of entries) next.settled(each)
  await next.keepHouse(168)
  t.same((await readdir(join(copyDir, 'rep_1'))).sort(), ['00000001.kept', 'alive'])

  await utimes(join(copyDir, 'rep_1', '00000001.kept'), longAgo, longAgo)
  await mkdir(join(copyDir, 'rep_x'))
  await next.keepHouse(0)
  await t.rejects(stat(join(copyDir, 'rep_1')), { code: 'ENOENT' }, 'and goes there, too, when it is old')
})
