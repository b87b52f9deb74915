// The journal of token answers: what was answered survives a crash, a bad disk and a forger.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type Journal, type JournalOptions, type JournalTrouble, openJournal } from '../../src/journal/journal.ts'
import { lastNotes } from '../../src/journal/last-notes.ts'
import type { Entry, StoredEntry } from '../../src/journal/sealing.ts'
import { generateVaultKey, parseKeyring } from '../../src/vault/keyring.ts'
import { createVault } from '../../src/vault/vault.ts'
import { eventually } from '../rig/eventually.ts'

const keys = generateVaultKey('k1')
const vault = createVault(parseKeyring(keys))
const answer = { access_token: 'act.secret1', refresh_token: 'rft.secret2', expires_in: 86_400 }
const entry: Entry = { kind: 'refresh', subject: 'acc_1', generation: 2, body: answer }
const isPosix = process.platform !== 'win32'

/** Journals in a directory of their own, and what they complained about. */
async function journalsIn(t: Test, options: Partial<JournalOptions> = {}) {
  const { dir = join(t.testdir(), 'data', 'journal') } = options
  const troubles: JournalTrouble[] = []
  const open = async (id: string, more: Partial<JournalOptions> = {}): Promise<Journal> => {
    const journal = await openJournal({
      ...{ dir, id, databaseId: 'db_1', vault, onTrouble: (trouble: JournalTrouble) => troubles.push(trouble) },
      ...options,
      ...more,
    })
    t.teardown(() => journal.close())
    return journal
  }
  const files = async () => (await readdir(dir, { recursive: true })).filter((name) => /\.(open|kept|draft)$/.test(name)).sort()
  return { dir, troubles, open, files }
}

/** From now on no file of this process reaches the disk before `goOn`. */
async function stallTheDisk(t: Test): Promise<{ goOn(): void }> {
  const probe = await open(import.meta.filename)
  const handles: FileHandle = Object.getPrototypeOf(probe)
  await probe.close()
  const { promise: stall, resolve: goOn } = Promise.withResolvers<void>()
  const { datasync } = handles
  handles.datasync = async function (this: FileHandle) {
    await stall
    return datasync.call(this)
  }
  t.teardown(() => {
    handles.datasync = datasync
    goOn()
  })
  return { goOn }
}

const essence = ({ kind, subject, generation, body }: Entry | StoredEntry) => ({ kind, subject, generation, body })
/** As after a crash: nobody beats any more, and a minute is over. */
async function forsake(dir: string, id: string): Promise<void> {
  const longAgo = new Date(Date.now() - 120_000)
  await utimes(join(dir, id, 'alive'), longAgo, longAgo).catch(() => {})
}

t.test('an answer waits until it is recorded, also for the next process', async (t) => {
  const { dir, open, files, troubles } = await journalsIn(t)
  const journal = await open('rep_1')
  t.same(await journal.pending(), { entries: [], unreadable: [] })
  const first = await journal.write(entry)
  const exchange: Entry = { ...entry, kind: 'exchange', subject: 'cs_1', generation: 0 }
  const second = await journal.write(exchange)
  t.match([first, second], [{ durable: true }, { durable: true }])
  t.same(await files(), ['rep_1/00000001.open'])
  t.equal(journal.count(), 2)
  t.same((await journal.pending()).entries.map(essence), [entry, exchange])

  const later = await open('rep_2')
  t.equal(later.count(), 0)
  const { entries } = await later.pending()
  t.same(entries.map(essence), [entry, exchange])
  t.equal(later.count(), 2)
  for (const each of entries) later.settled(each)
  t.equal(later.count(), 0)
  t.same((await later.pending()).entries, [], 'what was settled is not told again')

  await later.keepHouse(168)
  t.same(await files(), ['rep_1/00000001.open'], 'a live process keeps its own')
  await forsake(dir, 'rep_1')
  await later.keepHouse(168)
  t.same(await files(), ['rep_1/00000001.kept'])
  t.same(troubles, [])
})

t.test('what is recorded stays, and is told of no more', async (t) => {
  const { open, files } = await journalsIn(t)
  const journal = await open('rep_1')
  journal.recorded(await journal.write(entry))
  t.equal(journal.count(), 0)
  t.same((await journal.pending()).entries, [])
  await journal.close()
  t.same(await files(), ['rep_1/00000001.kept'])
  const later = await open('rep_2')
  t.same(await later.pending(), { entries: [], unreadable: [] })
})

t.test('a crash after the record costs at most a replay', async (t) => {
  const { open } = await journalsIn(t)
  const journal = await open('rep_1')
  for (let n = 0; n < 3; n++) journal.recorded(await journal.write({ ...entry, generation: n + 2 }))
  const unrecorded = await journal.write({ ...entry, generation: 9 })
  await journal.keepHouse(168) // tells what is recorded, with the next write
  journal.recorded(await journal.write(entry))
  t.ok(unrecorded.durable)
  const { entries } = await (await open('rep_2')).pending()
  t.same(
    entries.map(({ generation }) => generation),
    [9, 2],
  )
})

t.test('any JSON comes back as it was', async (t) => {
  const { open } = await journalsIn(t)
  const journal = await open('rep_1')
  const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)))
  await fc.assert(
    fc.asyncProperty(json, fc.string({ unit: 'grapheme', maxLength: 20 }), async (body, subject) => {
      const written = await journal.write({ kind: 'refresh', subject, generation: 2, body })
      t.same((await journal.pending()).entries.map(essence), [{ kind: 'refresh', subject, generation: 2, body }])
      journal.recorded(written)
    }),
    { numRuns: 50 },
  )
})

t.test('a segment shows nothing and belongs to us alone', async (t) => {
  const { open, dir } = await journalsIn(t)
  await (await open('rep_1')).write(entry)
  const path = join(dir, 'rep_1', '00000001.open')
  const text = await readFile(path, 'latin1')
  for (const secret of ['act.secret1', 'rft.secret2', 'access_token']) {
    for (const encoding of ['latin1', 'hex', 'base64', 'base64url'] as const)
      t.notOk(text.includes(Buffer.from(secret).toString(encoding).slice(0, 8)))
  }
  if (isPosix) {
    t.equal((await stat(join(dir, 'rep_1'))).mode & 0o777, 0o700)
    t.equal((await stat(path)).mode & 0o777, 0o600)
  }
})

t.test('F69: what was torn, changed, moved, doubled or sealed with another key costs itself and nothing else', async (t) => {
  const { dir, open, files } = await journalsIn(t)
  const journal = await open('rep_1')
  const ends: number[] = []
  const path = join(dir, 'rep_1', '00000001.open')
  for (let n = 0; n < 5; n++) {
    await journal.write({ ...entry, subject: `acc_${n}` })
    ends.push((await stat(path)).size)
  }
  const whole = await readFile(path)
  const [, second = 0, third = 0, fourth = 0] = ends
  const damaged = {
    rep_torn: whole.subarray(0, whole.length - 7),
    rep_flipped: Buffer.concat([
      whole.subarray(0, second + 60),
      Buffer.from([whole.readUInt8(second + 60) ^ 1]),
      whole.subarray(second + 61),
    ]),
    rep_length: Buffer.concat([whole.subarray(0, second + 4), Buffer.from([0x7f]), whole.subarray(second + 5)]),
    rep_cut: Buffer.concat([whole.subarray(0, second + 10), whole.subarray(third)]),
    rep_zeros: Buffer.concat([whole, Buffer.alloc(4096)]),
    rep_empty: Buffer.alloc(0),
    rep_headless: whole.subarray(50),
  }
  await mkdir(join(dir, 'notes'))
  await writeFile(join(dir, 'notes', 'read.me'), 'not ours')
  await journal.close()
  await rm(join(dir, 'rep_1'), { recursive: true })
  const reader = await open('rep_reader')
  // Under its own name every frame opens: so each is tried in the place of the original.
  for (const [name, bytes] of Object.entries(damaged)) {
    await mkdir(join(dir, 'rep_1'))
    await writeFile(path, bytes)
    const { entries, unreadable } = await reader.pending()
    const read = entries.map(({ subject }) => subject.slice(4)).join('')
    const expected = {
      rep_torn: '0123',
      rep_flipped: '0134',
      rep_length: '0134',
      rep_cut: '0134',
      rep_zeros: '01234',
      rep_empty: '',
      rep_headless: '01234',
    }[name]
    t.equal(read, expected, name)
    t.equal(unreadable.length, ['rep_torn', 'rep_zeros', 'rep_empty'].includes(name) ? 0 : 1, `${name} is told of`)
    t.same(await readFile(path), bytes, `${name} is as it was`)
    await rm(join(dir, 'rep_1'), { recursive: true })
  }

  await mkdir(join(dir, 'rep_other'))
  await writeFile(join(dir, 'rep_other', '00000001.open'), whole)
  const moved = await reader.pending()
  t.same(moved.entries, [], 'a segment under the name of another journal does not open')
  t.match(moved.unreadable[0], { journalId: 'rep_other', segment: 1, reason: /changed or moved/ })
  await rm(join(dir, 'rep_other'), { recursive: true })

  await mkdir(join(dir, 'rep_1'))
  await writeFile(
    path,
    Buffer.concat([
      whole.subarray(0, ends[0]),
      whole.subarray(third, fourth),
      whole.subarray(second, third),
      whole.subarray(second, third),
    ]),
  )
  t.same(
    (await reader.pending()).entries.map(({ subject }) => subject),
    ['acc_0', 'acc_2', 'acc_2', 'acc_3'],
    'reordered and doubled entries are told as they were written',
  )
  await writeFile(path, whole)
  const stranger = await open('rep_stranger', { vault: createVault(parseKeyring(generateVaultKey('k7'))) })
  t.match(
    (await stranger.pending()).unreadable,
    Array(5).fill({ reason: 'is sealed with the vault key "k1", which is not here' }),
  )
  const elsewhere = await open('rep_elsewhere', { databaseId: 'db_2' })
  t.match((await elsewhere.pending()).unreadable, [{ reason: /belongs to another database/, entries: 5 }])
  await elsewhere.keepHouse(168)
  await stranger.keepHouse(168)
  t.same(await files(), ['rep_1/00000001.open'])
  t.same(await readFile(path), whole)
})

t.test('a segment of a newer release is left alone', async (t) => {
  const { dir, open } = await journalsIn(t)
  const { encodeFrame } = await import('../../src/journal/frames.ts')
  const header = { format: 9, journalId: 'rep_9', segment: 1, databaseId: 'db_1', keyId: 'k1', more: true }
  const frame = { kind: 'header', sequence: 0, atMs: 0, generation: 0, subject: '', keyId: '' } as const
  const reader = await open('rep_1')
  await mkdir(join(dir, 'rep_9'))
  await writeFile(join(dir, 'rep_9', '00000001.open'), encodeFrame({ ...frame, payload: Buffer.from(JSON.stringify(header)) }))
  t.match((await reader.pending()).unreadable, [{ reason: 'was written by a newer release: run that one' }])
})

t.test('segments are begun anew, kept once everything in and before them is recorded, and go when they are old', async (t) => {
  const { dir, open, files } = await journalsIn(t, { segmentBytes: 1_000 })
  const journal = await open('rep_1')
  const written = []
  for (let n = 0; n < 12; n++) written.push(await journal.write({ ...entry, body: 'x'.repeat(400) }))
  t.same(await files(), [
    'rep_1/00000001.open',
    'rep_1/00000002.open',
    'rep_1/00000003.open',
    'rep_1/00000004.open',
    'rep_1/00000005.open',
    'rep_1/00000006.open',
  ])
  const [first, ...others] = written
  for (const each of others) journal.recorded(each)
  await journal.keepHouse(168)
  t.ok(
    (await files()).every((name) => name.endsWith('.open')),
    'the first entry of the first segment waits yet',
  )
  if (first) journal.recorded(first)
  await eventually(
    'those before the present one are kept',
    async () => (await files()).filter((name) => name.endsWith('.kept')).length === 5,
  )

  const longAgo = new Date(Date.now() - 3 * 3_600_000)
  await utimes(join(dir, 'rep_1', '00000002.kept'), longAgo, longAgo)
  await utimes(join(dir, 'rep_1', '00000006.open'), longAgo, longAgo)
  await journal.keepHouse(4)
  t.equal((await files()).length, 6)
  await journal.keepHouse(2)
  t.notOk((await files()).includes('rep_1/00000002.kept'))
  t.equal((await files()).length, 5, 'what is open is never pruned')
})

t.test('S21: what is under an old key is sealed with the primary one, and reads the same', async (t) => {
  const { dir, open } = await journalsIn(t)
  const old = await open('rep_1')
  await old.write(entry)
  await old.close()
  const both = createVault(parseKeyring(`${generateVaultKey('k2')},${keys}`))
  const journal = await open('rep_2', { vault: both })
  t.same(await journal.keyIds(), ['k1'])
  await journal.keepHouse(168)
  await journal.write({ ...entry, subject: 'acc_2' })
  const [primary = ''] = both.keyIds
  t.same(await (await open('rep_3', { vault: both })).keyIds(), [primary])
  t.same(
    (await journal.pending()).entries.map(({ subject }) => subject),
    ['acc_1', 'acc_2'],
  )
  t.ok((await readdir(join(dir, 'rep_1'))).every((name) => !name.endsWith('.draft')))
})

t.test('a journal without an entry is there to be asked for in a recovery, until it is old', async (t) => {
  const { dir, open } = await journalsIn(t)
  const ended = await open('rep_ended')
  await ended.close()
  await open('rep_killed')
  await forsake(dir, 'rep_killed')
  const reader = await open('rep_reader')
  await reader.keepHouse(168)
  t.same(
    (await reader.journals()).map(({ id }) => id),
    ['rep_ended', 'rep_killed', 'rep_reader'],
  )
  const eightDaysAgo = new Date(Date.now() - 8 * 86_400_000)
  for (const id of ['rep_ended', 'rep_killed']) await utimes(join(dir, id), eightDaysAgo, eightDaysAgo)
  await reader.keepHouse(168)
  t.same(
    (await reader.journals()).map(({ id }) => id),
    ['rep_reader'],
  )
})

t.test('two processes share a directory, and SIGKILL takes nothing that was called safe', async (t) => {
  const { dir, open, files, troubles } = await journalsIn(t)
  const writer = () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'journal-writer.ts')], {
      env: { DIR: dir, VAULT_KEYS: keys },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    return child
  }
  const safeIds: string[] = []
  await Promise.all(
    [writer(), writer()].map(async (child) => {
      let lines = 0
      for await (const line of createInterface(child.stdout)) {
        if (!line.startsWith('safe ')) continue
        safeIds.push(line.replace('safe ', ''))
        if (++lines === 150) child.kill('SIGKILL') // what it had said by then is still read
      }
    }),
  )
  t.ok(safeIds.length >= 300)
  const reader = await open('rep_reader')
  const { entries, unreadable } = await reader.pending()
  const found = new Set(entries.map(({ body }) => (body as { refresh_token: string }).refresh_token))
  t.same(
    safeIds.filter((id) => !found.has(`rft.${id}`)),
    [],
  )
  t.same(unreadable, [])
  t.equal(reader.count(), entries.length)
  for (const each of entries) reader.settled(each)
  for (const name of await readdir(dir)) if (name !== 'rep_reader') await forsake(dir, name)
  await reader.keepHouse(168)
  t.ok((await files()).every((name) => name.endsWith('.kept')))
  t.same(troubles, [])
})

t.test('a disk that fills up in the middle of a write says no, and keeps no half entry', { skip: !isPosix }, async (t) => {
  const { dir, open } = await journalsIn(t)
  // The kernel refuses to let a file grow over some blocks, as a full disk would: after a part was written.
  // Without tap's preload, whose signal handlers would end the process where Node by itself sees an error.
  const child = spawn(
    'sh',
    ['-c', `ulimit -f 8; unset NODE_OPTIONS; exec "${process.execPath}" "${join(import.meta.dirname, 'journal-writer.ts')}"`],
    { env: { DIR: dir, VAULT_KEYS: keys, COUNT: '20' }, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  t.teardown(() => child.kill('SIGKILL'))
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) {
    lines.push(line.replace(/\d+_\d+/, 'ID'))
    if (line.startsWith('done')) break
  }
  child.kill('SIGKILL')
  await once(child, 'exit')
  const safe = lines.filter((line) => line === 'safe ID').length
  t.ok(lines.filter((line) => line === 'trouble write EFBIG').length >= 10)
  t.equal(lines.filter((line) => line === 'refused ID').length, 20 - safe)
  t.equal(lines.at(-1), `done ${safe}`)
  const journal = await open('rep_1')
  const { entries, unreadable } = await journal.pending()
  t.equal(entries.length, safe)
  t.same(unreadable, [])
  t.match(await journal.write(entry), { durable: true }, 'with room again, it works again')
})

t.test('a directory that is no directory any more refuses without throwing, one that is gone is made again', async (t) => {
  const { dir, open, troubles } = await journalsIn(t, { nameBelievedMs: 0 })
  const journal = await open('rep_1')
  await journal.write(entry)
  await rm(dir, { recursive: true })
  t.same(await journal.pending(), { entries: [], unreadable: [] })
  t.match(await journal.write({ ...entry, subject: 'acc_2' }), { durable: true })
  t.same(
    (await journal.pending()).entries.map(({ subject }) => subject),
    ['acc_2'],
  )

  await rm(dir, { recursive: true })
  await writeFile(dir, '')
  t.match(await journal.write({ ...entry, subject: 'acc_3' }), { durable: false })
  t.match(troubles[0], { doing: 'write', about: 'acc_3', error: { code: /ENOTDIR|EEXIST/ } })
  await t.rejects(journal.pending(), { code: 'ENOTDIR' }, 'unreadable is not empty')
  await t.rejects(openJournal({ dir, id: 'rep_2', databaseId: 'db_1', vault, onTrouble: () => {} }), 'and it stops a start')
})

t.test('a body that is not JSON, or an id that is too long, is refused without throwing', async (t) => {
  const { open, troubles } = await journalsIn(t)
  const journal = await open('rep_1')
  const circular: { self?: unknown } = {}
  circular.self = circular
  t.match(await journal.write({ ...entry, body: circular }), { durable: false })
  t.match(await journal.write({ ...entry, subject: 'x'.repeat(300) }), { durable: false })
  t.match(troubles, [
    { doing: 'write', about: 'acc_1', error: TypeError },
    { doing: 'write', error: RangeError },
  ])
  t.match(await journal.write(entry), { durable: true })
  t.equal(journal.count(), 1)
})

t.test('a disk that takes too long is not waited for, and what lands late is there', async (t) => {
  const { open, troubles } = await journalsIn(t, { timeoutMs: 1 })
  const journal = await open('rep_1')
  const disk = await stallTheDisk(t)
  const late = await journal.write(entry)
  t.match(late, { durable: false })
  t.match(troubles, [{ doing: 'write', about: 'acc_1', error: { message: /in time/ } }])
  t.equal(journal.count(), 0)
  disk.goOn()
  await eventually('it lands', () => journal.count() === 1)
  t.equal((await journal.pending()).entries.length, 1)
  journal.recorded(late)
  t.equal(journal.count(), 0)
})

t.test('what was given up in a recovery does not begin another one at each start', async (t) => {
  const { open } = await journalsIn(t)
  const journal = await open('rep_1')
  journal.recorded(await journal.write(entry), { accountId: 'acc_1', generation: 2 })
  await journal.close()
  const next = await open('rep_2')
  const told = async (since: Date | null) => (await lastNotes(next, vault, since)).recorded
  t.same(await told(null), [{ accountId: 'acc_1', generation: 2 }])
  t.same(await told(new Date(Date.now() - 3_600_000)), [{ accountId: 'acc_1', generation: 2 }])
  t.same(await told(new Date(Date.now() + 1_000)), [], 'a recovery ended after that')
})

t.test('entries from the future are replayed like others, and do not begin another recovery at each start', async (t) => {
  const { open, files } = await journalsIn(t)
  const journal = await open('rep_1')
  journal.syncClock(new Date(Date.now() + 10 * 365 * 86_400_000))
  const server = { mark: 7, systemIdentifier: '1', timeline: '1' }
  await journal.write({ kind: 'sighting', subject: 'db_1', generation: 0, body: { ...server, siblings: [] } })
  journal.recorded(await journal.write(entry), { accountId: 'acc_1', generation: 2 })
  const unrecorded = { ...entry, subject: 'acc_2' }
  await journal.write(unrecorded)
  await journal.close()
  const next = await open('rep_2')
  t.match((await next.pending()).entries, [unrecorded])
  await next.keepHouse(168)
  t.same(await files(), ['rep_1/00000001.open'])

  const told = async (since: Date | null) => {
    const { notes, recorded } = await lastNotes(next, vault, since)
    return { note: notes.get('rep_1'), recorded }
  }
  t.match(await told(null), { note: server, recorded: [{ accountId: 'acc_1', generation: 2 }] })
  t.match(await told(new Date(Date.now() - 60_000)), { note: { mark: 7, timeline: null, systemIdentifier: null }, recorded: [] })
})

t.test('an answer recorded while it is being written does not wait', async (t) => {
  const { open, troubles } = await journalsIn(t)
  const journal = await open('rep_1')
  await Promise.all(
    Array.from({ length: 30 }, async (_, n) => {
      const written = journal.write({ ...entry, subject: `acc_${n}` })
      if (n % 2) await written
      journal.recorded(n % 2 ? await written : { sequence: n + 1 })
      await written
    }),
  )
  t.equal(journal.count(), 0)
  t.same((await journal.pending()).entries, [])
  t.same(troubles, [])
})

t.test('500 answers at once all land, in few writes', async (t) => {
  let writes = 0
  const { open } = await journalsIn(t, { timeoutMs: 60_000, onWritten: () => writes++ })
  const journal = await open('rep_1')
  const written = await Promise.all(Array.from({ length: 500 }, (_, n) => journal.write({ ...entry, subject: `acc_${n}` })))
  t.ok(written.every(({ durable }) => durable))
  t.ok(writes <= 3, `${writes} writes`)
  t.equal((await journal.pending()).entries.length, 500)
})

t.test('a segment that a neighbour has kept, or that was moved away, is written to no more', async (t) => {
  const { dir, open, files } = await journalsIn(t, { nameBelievedMs: 0 })
  const journal = await open('rep_1')
  await journal.write(entry)
  await rename(join(dir, 'rep_1', '00000001.open'), join(dir, 'rep_1', '00000001.kept'))
  await journal.write({ ...entry, subject: 'acc_2' })
  t.same(await files(), ['rep_1/00000001.kept', 'rep_1/00000002.open'])
  t.same(
    (await (await open('rep_2')).pending()).entries.map(({ subject }) => subject),
    ['acc_2'],
  )
})
