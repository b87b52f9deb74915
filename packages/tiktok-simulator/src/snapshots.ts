/** Worlds that were saved by name, apart for each developer; beside the state file, where there is one, those of the first. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { deserialize } from 'node:v8'
import { z } from 'zod'
import { defaultDeveloper } from './person.ts'
import { replaceFile } from './state.ts'

export const SnapshotName = z.string().regex(/^[\w-]{1,64}$/, 'a name has letters, digits, _ and - only')

const ending = '.snapshot'

/** @throws Error when it is none, at the start and not in the middle of a test */
function readSnapshot(file: string): Buffer {
  const saved = readFileSync(file)
  try {
    if (deserialize(saved) instanceof Map) return saved
  } catch {}
  throw new Error(`${file} is not a snapshot of this simulator: remove it`)
}

export class Snapshots {
  readonly #folder: string | undefined
  readonly #ofDevelopers = new Map<string, Map<string, Buffer>>()

  /**
   * @param stateFile where grants outlive the process, and so do snapshots then
   * @throws Error when a file among them is none
   */
  constructor(stateFile: string | undefined) {
    this.#folder = stateFile && `${stateFile}.snapshots`
    if (this.#folder === undefined || !existsSync(this.#folder)) return
    for (const file of readdirSync(this.#folder)) {
      if (file.endsWith(ending))
        this.#of(defaultDeveloper).set(file.slice(0, -ending.length), readSnapshot(join(this.#folder, file)))
    }
  }

  names(developer: string): string[] {
    return [...this.#of(developer).keys()].sort()
  }

  find(developer: string, name: string): Buffer | undefined {
    return this.#of(developer).get(name)
  }

  keep(developer: string, name: string, saved: Buffer): void {
    this.#of(developer).set(SnapshotName.parse(name), saved)
    if (this.#folder !== undefined && developer === defaultDeveloper) replaceFile(join(this.#folder, name + ending), saved)
  }

  /** @returns false when there is none by this name */
  remove(developer: string, name: string): boolean {
    if (!this.#of(developer).delete(name)) return false
    if (this.#folder !== undefined && developer === defaultDeveloper) rmSync(join(this.#folder, name + ending), { force: true })
    return true
  }

  forget(developer: string): void {
    this.#ofDevelopers.delete(developer)
  }

  #of(developer: string): Map<string, Buffer> {
    const known = this.#ofDevelopers.get(developer) ?? new Map<string, Buffer>()
    this.#ofDevelopers.set(developer, known)
    return known
  }
}
