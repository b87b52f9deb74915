// The command line: what operators do by hand. Each family of commands is a file in cli/, loaded when it is needed.
import { asksForHelp, families, readEnvFileThemselves, usage } from './cli/commands.ts'
import { print, say, Unfinished, UsageError } from './cli/terminal.ts'
import { ServiceError } from './errors.ts'
import { ConfigError } from './settings/config.ts'
import { readEnvFile } from './settings/env-file.ts'

async function run(argv: string[]): Promise<void> {
  const [command = 'help', ...rest] = argv
  if (asksForHelp(argv)) {
    const words = command === 'help' || command.startsWith('-') ? rest : argv
    if (words[0] === 'simulator') return call('simulator', [...(words[1] === 'probe' ? ['probe'] : []), '--help'])
    print(usage(words))
    return
  }
  return call(command, rest)
}

async function call(command: string, argv: string[]): Promise<void> {
  const load = Object.hasOwn(families, command) ? families[command] : undefined
  if (!load) throw new UsageError(`There is no command ${JSON.stringify(command)}.`)
  const work = await load()
  return work(argv)
}

/** Of the command that was meant, if there is one by that name. */
function usageOf([command = '']: readonly string[]): string {
  return usage(Object.hasOwn(families, command) ? [command] : [])
}

// Before anything uses the pool: look-ups and disks that hang take threads, and with Node's four the rest would wait behind them.
process.env.UV_THREADPOOL_SIZE ??= '16'

// The reader has closed the pipe, as in `audit reads … | head`.
process.stdout.on('error', () => process.exit())

try {
  if (!readEnvFileThemselves.has(process.argv[2] ?? '')) readEnvFile()
  await run(process.argv.slice(2))
} catch (error) {
  if (error instanceof UsageError) say(`${error.message}\n\n${usageOf(process.argv.slice(2))}`)
  else if (error instanceof ConfigError) say(error.problems.join('\n'))
  else if (!(error instanceof Unfinished)) {
    const { remedyOf } = await import('./db/fault.ts')
    const sentence = remedyOf(error) ?? (error instanceof Error ? error.message : 'It failed.')
    say(error instanceof ServiceError ? `${error.code}: ${sentence}` : sentence)
  }
  process.exitCode = 1
}
