#!/usr/bin/env node
// `npx tiktok-simulator`.
import { runSimulator } from './command.ts'

try {
  await runSimulator(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}
