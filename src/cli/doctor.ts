// `doctor`: what is wrong with this deployment, why it matters, and what to type. It changes nothing, and ends within ten seconds whoever hangs.
import { examine, type Report } from '../doctor/examine.ts'
import { takeEnvFile } from '../settings/env-file.ts'
import { nothingMore, parse, print, startProgress, wholeNumber } from './terminal.ts'

/** Never returns: a look-up or a disk that hangs would keep the process for as long as it likes. */
export async function doctor(argv: string[]): Promise<never> {
  const { values, positionals } = parse(argv, {
    json: { type: 'boolean', default: false },
    public: { type: 'boolean', default: false },
    timeout: { type: 'string', default: '5' },
  })
  nothingMore(positionals)
  const envFileProblems = takeEnvFile()
  const progress = startProgress('examining')
  const report = await examine(process.env, {
    fromOutside: values.public,
    envFileProblems,
    timeoutMs: wholeNumber('--timeout', values.timeout, 1, 60) * 1000,
    onProgress: (done, total, name) => progress.show(done, total, name),
  }).finally(() => progress.end())
  print(values.json ? JSON.stringify(report, null, 2) : written(report))
  return leave(report.healthy ? 0 : 1)
}

function written({ healthy, seconds, checks }: Report): string {
  const lines = checks.flatMap(({ name, state, seen, findings }) => [
    `${state.padEnd(9)} ${name}${seen === undefined ? '' : `: ${seen}`}`,
    ...findings.flatMap(({ level, what, why, remedy }) => [
      `  ${level === 'fault' ? '✗' : '!'} ${what}`,
      `    why  ${why}`,
      `    do   ${remedy}`,
    ]),
  ])
  const count = (level: string) => {
    const found = checks.flatMap(({ findings }) => findings).filter((finding) => finding.level === level).length
    return `${found} ${level}${found === 1 ? '' : 's'}`
  }
  const verdict = healthy ? 'No fault was found' : count('fault')
  return [...lines, '', `${verdict}, ${count('warning')}, ${seconds.toFixed(1)} s. Nothing was changed.`].join('\n')
}

/** `exit` joins Node's threads, and one of them may sit in a look-up that takes its time: another program in its place leaves at once. */
function leave(code: number): never {
  if (process.platform !== 'win32' && process.execve) {
    process.removeAllListeners('warning')
    process.execve(process.execPath, [process.execPath, '--eval', `process.exit(${code})`], {})
  }
  process.exit(code)
}
