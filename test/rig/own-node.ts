// A Node for a process that a test starts. Tap gives its loaders to every process that a test starts, whatever environment
// is asked for; they are for tests, and would double what a start costs.
import { join } from 'node:path'

/** Compiled code is shared between the processes of a run, as every one of them loads the same files. */
const compiled = `NODE_COMPILE_CACHE=${join(import.meta.dirname, '../../.tap/compile-cache')}`

/** @returns the program and its arguments, for `spawn` */
export function ownNode(args: string[]): [program: string, args: string[]] {
  if (process.platform === 'win32') return [process.execPath, args]
  return ['/usr/bin/env', ['-u', 'NODE_OPTIONS', compiled, process.execPath, ...args]]
}
