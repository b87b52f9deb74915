import { execFileSync, spawn } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type JournalEntry, type JournalTrouble, openJournal } from '../../src/vault/journal.ts'
import { generateVaultKey, parseKeyring } from '../../src/vault/keyring.ts'
import { createVault } from '../../src/vault/vault.ts'
import { eventually } from '../rig/eventually.ts'

const keys = generateVaultKey('k1')
const vault = createVault(parseKeyring(keys))
const answer = { access_token: 'act.secret1', refresh_token: 'rft.secret2', expires_in: 86_400 }
const entry: JournalEntry = { id: 'att_1', kind: 'refresh', subject: 'acc_1', body: answer }
const isPosix = process.platform !== 'win32'

/** A spill in a directory of its own, and what it complained about. */
async function spillIn(t: Test, options: { dir?: string; timeoutMs?: number } = {}) {
  const { dir = join(t.testdir(), 'data', 'spill'), ...rest } = options
  const troubles: JournalTrouble[] = []
  const open = () => openJournal({ dir, vault, onTrouble: (trouble) => troubles.push(trouble), ...rest })
  return { dir, troubles, open, spill: await open(), files: async () => (await readdir(dir)).sort() }
}

t.test('an answer waits until it is removed, also for the next process', async (t) => {
  const { spill, open, files, troubles } = await spillIn(t)
  t.same(await spill.list(), { entries: [], unreadable: [] })
  t.equal(await spill.write(entry), true)
  t.equal(await spill.write({ ...entry, id: 'att_2', kind: 'exchange', subject: 'cs_1' }), true)
  t.same(await files(), ['exchange-att_2.spill', 'refresh-att_1.spill'])
  t.equal(spill.count(), 2)

  const later = await open()
  t.equal(later.count(), 0)
  t.same((await later.list()).entries, [{ ...entry, id: 'att_2', kind: 'exchange', subject: 'cs_1' }, entry])
  t.equal(later.count(), 2)
  await later.remove('att_1')
  await later.remove('att_2')
  t.same(await files(), [])
  t.equal(later.count(), 0)

  await spill.remove('att_1')
  await spill.remove('never_written')
  t.same((await spill.list()).entries, [])
  t.equal(spill.count(), 0, 'what a neighbour removed is not counted for ever')
  t.same(troubles, [])
})

t.test('any JSON comes back as it was', async (t) => {
  const { spill } = await spillIn(t)
  const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)))
  await fc.assert(
    fc.asyncProperty(json, fc.string({ unit: 'binary' }), async (body, subject) => {
      await spill.write({ id: 'att_1', kind: 'refresh', subject, body })
      t.same((await spill.list()).entries, [{ id: 'att_1', kind: 'refresh', subject, body }])
    }),
    { numRuns: 50 },
  )
})

t.test('a file shows nothing and belongs to us alone', async (t) => {
  const { spill, dir } = await spillIn(t)
  await spill.write(entry)
  const text = await readFile(join(dir, 'refresh-att_1.spill'), 'latin1')
  t.match(text, /^v1\.k1\.[A-Za-z0-9_-]+\n$/)
  for (const secret of ['act.secret1', 'rft.secret2', 'acc_1', 'access_token']) {
    for (const encoding of ['latin1', 'hex', 'base64', 'base64url'] as const) {
      t.notOk(text.includes(Buffer.from(secret).toString(encoding).slice(0, 8)))
    }
  }
  if (isPosix) {
    t.equal((await stat(dir)).mode & 0o777, 0o700)
    t.equal((await stat(join(dir, 'refresh-att_1.spill'))).mode & 0o777, 0o600)
  }
})

t.test('what does not open is named and kept', async (t) => {
  const { spill, dir, files } = await spillIn(t)
  await spill.write(entry)
  await spill.write({ ...entry, id: 'att_2' })
  await rename(join(dir, 'refresh-att_2.spill'), join(dir, 'refresh-att_3.spill'))
  await writeFile(join(dir, 'refresh-att_4.spill'), 'v1.k7.AAAA\n')
  await writeFile(join(dir, 'refresh-att_5.spill'), '')
  const place = { purpose: 'spill', subject: 'refresh-att_6', generation: 0 } as const
  await writeFile(join(dir, 'refresh-att_6.spill'), vault.seal(place, '{"id":"att_6"}'))
  await mkdir(join(dir, 'refresh-att_7.spill'))
  await writeFile(join(dir, 'notes.txt'), 'not ours')

  const before = await files()
  const { entries, unreadable } = await spill.list()
  t.same(entries, [entry])
  t.same(
    unreadable,
    [3, 4, 5, 6, 7].map((n) => `refresh-att_${n}.spill`),
  )
  t.same(await files(), before)
})

t.test('an id cannot lead out of the directory', async (t) => {
  const { spill, dir, files, troubles } = await spillIn(t)
  await writeFile(join(dir, '..', 'refresh-x.spill'), 'precious')
  for (const id of ['../refresh-x', 'a/b', '', 'a.b', 'x\0']) {
    t.equal(await spill.write({ ...entry, id }), false)
    await spill.remove(id)
  }
  await spill.remove('/../../refresh-x')
  t.same(await files(), [])
  t.equal(await readFile(join(dir, '..', 'refresh-x.spill'), 'utf8'), 'precious')
  t.equal(troubles.length, 11)
  t.equal(spill.count(), 0)
})

t.test('what dead writers left: whole files get their name, torn ones go, fresh ones are left to their writer', async (t) => {
  const { spill, dir, open, files } = await spillIn(t)
  await spill.write(entry)
  const whole = await readFile(join(dir, 'refresh-att_1.spill'), 'utf8')
  await spill.remove('att_1')
  const tmp = (n: number) => `refresh-att_${n}.spill.0b0c7b0e-0000-4000-8000-00000000000${n}.tmp`
  await writeFile(join(dir, tmp(1)), whole)
  await writeFile(join(dir, tmp(2)), whole.slice(0, 50))
  await writeFile(join(dir, tmp(3)), '')
  const longAgo = new Date(Date.now() - 120_000)
  for (const n of [1, 2, 3]) await utimes(join(dir, tmp(n)), longAgo, longAgo)
  await writeFile(join(dir, tmp(4)), whole.slice(0, 50))
  await writeFile(join(dir, 'other.tmp'), 'not ours')

  const next = await open()
  t.same(await files(), ['other.tmp', 'refresh-att_1.spill', tmp(4)])
  t.same(await next.list(), { entries: [entry], unreadable: [] })

  await utimes(join(dir, tmp(4)), longAgo, longAgo)
  await next.list()
  t.same(await files(), ['other.tmp', 'refresh-att_1.spill'], 'a listing sweeps too')
})

t.test('two processes share a directory, and SIGKILL takes nothing that was called safe', async (t) => {
  const { spill, dir, files, troubles } = await spillIn(t)
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

  for (const name of await files()) {
    const longAgo = new Date(Date.now() - 120_000)
    if (name.endsWith('.tmp')) await utimes(join(dir, name), longAgo, longAgo)
  }
  const { entries, unreadable } = await spill.list()
  const found = new Map(entries.map(({ id, body }) => [id, body as { refresh_token: string }]))
  t.same(
    safeIds.filter((id) => found.get(id)?.refresh_token !== `rft.${id}`),
    [],
  )
  t.same(unreadable, [])
  t.equal(spill.count(), entries.length)

  await Promise.all(entries.map(({ id }) => spill.remove(id)))
  t.same(await files(), [])
  t.same(troubles, [])
})

t.test('a disk that fills up in the middle of a write says no, and keeps no half file', { skip: !isPosix }, async (t) => {
  const { spill, dir, files } = await spillIn(t)
  // The kernel refuses to let a file grow over one block, as a full disk would: after a part was written.
  // Without tap's preload, whose signal handlers would end the process where Node by itself sees an error.
  const child = spawn(
    'sh',
    ['-c', `ulimit -f 1; unset NODE_OPTIONS; exec "${process.execPath}" "${join(import.meta.dirname, 'journal-writer.ts')}"`],
    {
      env: { DIR: dir, VAULT_KEYS: keys, COUNT: '20' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  t.teardown(() => child.kill('SIGKILL'))
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) {
    lines.push(line.replace(/\d+_\d+/, 'ID'))
    if (line.startsWith('done')) break
  }
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.equal(lines.filter((line) => line === 'trouble write EFBIG').length, 20)
  t.equal(lines.filter((line) => line === 'refused ID').length, 20)
  t.equal(lines.at(-1), 'done 0')
  t.same(await files(), [])
  t.equal(await spill.write(entry), true, 'with room again, it works again')
})

t.test('a directory that is no directory any more refuses without throwing, one that is gone is made again', async (t) => {
  const { spill, dir, files, troubles } = await spillIn(t)
  await rm(dir, { recursive: true })
  t.same(await spill.list(), { entries: [], unreadable: [] })
  t.equal(await spill.write(entry), true)
  t.same(await files(), ['refresh-att_1.spill'])

  await rm(dir, { recursive: true })
  await writeFile(dir, '')
  t.equal(await spill.write({ ...entry, id: 'att_2' }), false)
  await spill.remove('att_2')
  t.match(troubles, [
    { doing: 'write', about: 'att_2', error: { code: /ENOTDIR|EEXIST/ } },
    { doing: 'remove', about: 'att_2', error: { code: 'ENOTDIR' } },
  ])
  await t.rejects(spill.list(), { code: 'ENOTDIR' }, 'unreadable is not empty')
  await t.rejects(openJournal({ dir, vault, onTrouble: () => {} }), 'and it stops a start')
})

t.test('a body that is not JSON is refused without throwing', async (t) => {
  const { spill, files, troubles } = await spillIn(t)
  const circular: { self?: unknown } = {}
  circular.self = circular
  t.equal(await spill.write({ ...entry, body: circular }), false)
  t.match(troubles, [{ doing: 'write', about: 'att_1', error: TypeError }])
  t.equal(spill.count(), 0)
  t.same(await files(), [])
})

t.test('a hanging disk holds up neither a refresh nor a DNS look-up', { skip: !isPosix }, async (t) => {
  const { spill, dir, files, troubles } = await spillIn(t, { timeoutMs: 300 })
  // Reading a pipe that nobody writes hangs like a disk that is away: here twice, in all the threads a spill may take.
  const pipe = join(dir, 'refresh-pipe.spill')
  execFileSync('mkfifo', [pipe])
  const listings = [spill.list(), spill.list()]
  while (await spill.write({ ...entry, id: 'probe' })) await spill.remove('probe')
  await spill.remove('probe')
  troubles.length = 0

  const timers = t.capture(globalThis, 'setTimeout', setTimeout)
  t.equal(await spill.write(entry), false)
  t.equal(await spill.write({ ...entry, id: 'att_2' }), false)
  await spill.remove('att_2')
  t.same(
    troubles.map(({ doing, about }) => `${doing} ${about}`),
    ['write att_1', 'write att_2', 'remove att_2'],
  )
  for (let n = 0; n < 20; n++) await spill.write(entry)
  t.same([...new Set(timers().map(({ args }) => args[1]))], [0], 'one was given time by now, and nobody after it')
  t.equal(spill.count(), 1, 'it may still land')
  t.ok(await lookup('localhost'))

  closeSync(openSync(pipe, 'w'))
  for (const { unreadable } of await Promise.all(listings)) t.same(unreadable, ['refresh-pipe.spill'])
  await rm(pipe)
  while (!(await spill.write({ ...entry, id: 'att_3' }))) await lookup('localhost') // catching up
  await eventually('nothing is half written', async () => !(await files()).some((name) => name.endsWith('.tmp')))
  t.same(await files(), ['refresh-att_1.spill', 'refresh-att_3.spill'], 'what was not settled has landed')
  t.equal(spill.count(), 2)
})

t.test('an answer removed while it is being written does not stay', async (t) => {
  const { spill, files, troubles } = await spillIn(t)
  await Promise.all(
    Array.from({ length: 30 }, async (_, n) => {
      const written = spill.write({ ...entry, id: `att_${n}` })
      if (n % 2) await written
      await Promise.all([spill.remove(`att_${n}`), written])
    }),
  )
  t.same(await files(), [])
  t.equal(spill.count(), 0)
  t.same(troubles, [])
})

t.test('500 answers at once all land', async (t) => {
  const { spill, files } = await spillIn(t, { timeoutMs: 60_000 })
  const ids = Array.from({ length: 500 }, (_, n) => `att_${n}`)
  const written = await Promise.all(ids.map((id) => spill.write({ ...entry, id })))
  t.ok(written.every(Boolean))
  t.equal((await spill.list()).entries.length, 500)
  await Promise.all(ids.map((id) => spill.remove(id)))
  t.same(await files(), [])
})
