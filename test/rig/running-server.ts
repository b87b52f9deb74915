// What the scripts around a test run (.taprc) and the tests tell each other about the run's PostgreSQL. Nothing of src is
// imported here: tap measures what its scripts load, and would print a coverage report of it after every run.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface RunningServer {
  url: string
  keeperPid: number
  dataDir: string
}

/** Runs at the same time each have their server: the test runner is the parent of the scripts and of every test file. */
export function serverFile(runnerPid: number): string {
  return join(fileURLToPath(new URL('../..', import.meta.url)), '.tap', 'postgres', `${runnerPid}.json`)
}
