// A folder of a test's own, which goes when the test has ended, however it ended.
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Teardown {
  teardown(work: () => unknown): unknown
}

/** Asked for before what lives in it is started: what is torn down last was made first. */
export async function ownFolder(t: Teardown, what: string): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), `tts-${what}-`)))
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}
