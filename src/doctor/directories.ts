// JOURNAL_DIR and its second place: whether this user may write there, whether there is room, and whose journals lie there. Nothing is made
// to find out.
import { constants } from 'node:fs'
import { access, stat, statfs } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import { type JournalOnDisk, listJournals, readHeader, readSegment } from '../journal/disk.ts'
import { openFrame } from '../journal/sealing.ts'
import type { Config } from '../settings/config.ts'
import { createVault, type Vault } from '../vault/vault.ts'
import type { DatabaseObservation } from './database.ts'
import { command, type Finding, fault, type Observation, type Patient, skipped, warning } from './finding.ts'
import type { KeysObservation } from './keys.ts'

const why = 'A token answer that is not on disk before it is in the database is lost with the process, and the account with it.'
const mib = 2 ** 20
const littleRoom = 1024 * mib
const noRoom = 64 * mib
/** By the numbers of Linux: what is gone with the machine's memory or with the container. */
const shortLived: Record<number, string> = {
  16914836: 'in memory (tmpfs)',
  2240043254: 'in memory (ramfs)',
  2035054128: "on the container's own layer (overlay)",
}
/** As many journals are looked into: more are those of replicas that are long gone. */
const mostJournals = 50

export async function examineDirectories(
  { config, isBad }: Patient,
  database: Promise<DatabaseObservation>,
  keys: Promise<KeysObservation>,
): Promise<Observation> {
  if (isBad('JOURNAL_DIR', 'SPILL_DIR', 'DATA_DIR')) return skipped
  const { dir, copyDir, namedBy = 'JOURNAL_DIR' } = config.journal
  const [first, second] = await Promise.all([
    examineDirectory(namedBy, dir),
    copyDir === undefined ? [] : examineDirectory('JOURNAL_COPY_DIR', copyDir),
  ])
  const findings = [
    ...first,
    ...second,
    ...(copyDir === undefined ? [] : await ofTheSameDisk(dir, copyDir)),
    ...ofDefault(config),
  ]
  const journals = await listJournals(dir).catch((): JournalOnDisk[] => [])
  const { memory } = await database
  const { keyring } = await keys
  const vault = keyring && createVault(keyring)
  const about = await Promise.all(
    journals.slice(-mostJournals).map((journal) => ofJournal(namedBy, journal, memory?.databaseId, vault)),
  )
  const told = new Set<string>()
  for (const finding of about.flat()) {
    if (!told.has(finding.what)) findings.push(finding)
    told.add(finding.what)
  }
  return { findings, seen: `${resolve(dir)}, ${journals.length} journals` }
}

async function examineDirectory(variable: string, dir: string): Promise<Finding[]> {
  const { place, isThere, code } = await nearest(resolve(dir))
  const name = `${variable} (${resolve(dir)})`
  const mend = (remedy: string) => [fault(`${name} ${problems[code ?? ''] ?? `cannot be used (${code})`}.`, why, remedy)]
  if (code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENAMETOOLONG') return mend(`Set ${variable} to a directory.`)
  if (code === 'EROFS') return mend(`Mount a volume there that can be written to, or set ${variable} to another directory.`)
  if (code !== undefined)
    return mend(
      isThere
        ? `\`chown ${process.getuid?.() ?? 'USER'} ${resolve(dir)} && chmod 700 ${resolve(dir)}\`, or set ${variable} to another directory.`
        : `\`install -d -m 700 -o ${process.getuid?.() ?? 'USER'} ${resolve(dir)}\`, or set ${variable} to another directory.`,
    )
  return [...(await ofRoom(name, variable, place)), ...(await ofKind(name, variable, place))]
}

const problems: Record<string, string> = {
  EACCES: 'may not be written to by this user',
  EPERM: 'may not be written to by this user',
  EROFS: 'is on a read-only file system',
  ENOTDIR: 'is a file, or below one',
  ELOOP: 'is a symbolic link that leads nowhere',
  ENAMETOOLONG: 'is too long for a path',
}

/** The directory, or the one in which it would be made, and why nothing can be written there. */
async function nearest(dir: string): Promise<{ place: string; isThere: boolean; code: string | undefined }> {
  for (let place = dir; ; place = dirname(place)) {
    try {
      if (!(await stat(place)).isDirectory()) return { place, isThere: true, code: 'ENOTDIR' }
      await access(place, constants.W_OK | constants.X_OK)
      return { place, isThere: place === dir, code: undefined }
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'no code'
      if (code !== 'ENOENT' || place === dirname(place)) return { place, isThere: place === dir, code }
    }
  }
}

async function ofRoom(name: string, variable: string, place: string): Promise<Finding[]> {
  const { bavail, bsize, files, ffree } = await statfs(place)
  const room = bavail * bsize
  const remedy = `Make room there (\`df -h ${place}\`), or set ${variable} to a larger disk. ${command('journal prune')} drops what is old.`
  if (files > 0 && ffree === 0) return [fault(`${name} is on a disk without inodes.`, why, remedy)]
  if (room < littleRoom)
    return [(room < noRoom ? fault : warning)(`${name} has ${Math.floor(room / mib)} MiB left.`, why, remedy)]
  return []
}

async function ofKind(name: string, variable: string, place: string): Promise<Finding[]> {
  const kind = process.platform === 'linux' ? shortLived[(await statfs(place)).type] : undefined
  if (kind === undefined) return []
  return [
    warning(
      `${name} is ${kind}.`,
      'It is gone with the machine or the container, and what it holds is there for that very moment.',
      `Mount a volume there, or set ${variable} to one.`,
    ),
  ]
}

async function ofTheSameDisk(dir: string, copyDir: string): Promise<Finding[]> {
  const devices = await Promise.all([dir, copyDir].map(async (path) => (await stat((await nearest(resolve(path))).place)).dev))
  if (devices[0] !== devices[1]) return []
  return [
    warning(
      'JOURNAL_COPY_DIR is on the same disk as the journal itself.',
      'Whoever loses one loses both.',
      'Set JOURNAL_COPY_DIR to a place that outlives the machine, such as a network file system.',
    ),
  ]
}

function ofDefault({ databaseUrl, dataDir, journal }: Config): Finding[] {
  if (databaseUrl === undefined || journal.namedBy !== undefined || isAbsolute(dataDir)) return []
  return [
    warning(
      `JOURNAL_DIR is not set: the journal is under DATA_DIR (${resolve(journal.dir)}).`,
      'It has to outlive the process, and where that is depends on the directory the service is started in.',
      'Set JOURNAL_DIR=/PATH/ON/A/VOLUME.',
    ),
  ]
}

/** What lies there of earlier and other processes has to be of this database, and to open. */
async function ofJournal(
  variable: string,
  { id, segments }: JournalOnDisk,
  databaseId: string | undefined,
  vault: Vault | undefined,
): Promise<Finding[]> {
  const headers = await Promise.all(segments.map((segment) => readHeader(segment).catch(() => undefined)))
  const [foreign] = headers.filter((header) => header && databaseId !== undefined && header.databaseId !== databaseId)
  if (foreign)
    return [
      fault(
        `${variable} holds journals of another database.`,
        `They are left alone and brought back to nobody. Either this is the wrong directory, or DATABASE_URL names the wrong database: ${id} is one of them.`,
        `Give each database a JOURNAL_DIR of its own, or correct DATABASE_URL.`,
      ),
    ]
  const keyIds = [...new Set(headers.flatMap((header) => (header && header.keyId !== '' ? [header.keyId] : [])))]
  const strangers = vault ? keyIds.filter((keyId) => !vault.keyIds.includes(keyId)) : []
  if (strangers.length > 0)
    return strangers.map((keyId) =>
      fault(
        `${variable} holds a journal that is sealed with the vault key "${keyId}", which is not among the keys here.`,
        'After a restore its answers could not be opened.',
        `Put "${keyId}:BASE64" back into VAULT_KEYS, behind the first key; a running replica seals its journal anew within a minute.`,
      ),
    )
  if (vault && !(await opens(id, segments.at(-1), vault)))
    return [
      fault(
        `${variable} holds a journal that does not open with the vault keys here: other bytes have the id of its key.`,
        'After a restore its answers could not be opened.',
        'Put the right bytes into VAULT_KEYS under that id, from where keys are kept.',
      ),
    ]
  return []
}

/** One sealed entry stands for all of the segment: they have one key. */
async function opens(journalId: string, segment: JournalOnDisk['segments'][number] | undefined, vault: Vault): Promise<boolean> {
  const read = segment && (await readSegment(segment).catch(() => undefined))
  const frame = read?.frames.find(({ kind }) => kind !== 'header' && kind !== 'recorded')
  if (!frame) return true
  try {
    openFrame(vault, journalId, frame)
    return true
  } catch {
    return false
  }
}
