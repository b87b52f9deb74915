// Whether the registry knows a fault in what the lockfile pins. It judges, the checks only ask; many mirrors do not answer such questions,
// and no answer is neither a pass nor a failure.
import { spawn } from 'node:child_process'
import { z } from 'zod'

export type Audit =
  | { kind: 'clean' }
  /** those of high or critical severity, by package */
  | { kind: 'found'; packages: string[] }
  | { kind: 'unanswered'; reason: string }

const Report = z.union([
  z.object({ vulnerabilities: z.record(z.string(), z.object({ severity: z.string() })) }),
  z.object({ message: z.string() }),
])

/** Asks npm, as `npm audit --audit-level=high` does. @param registry npm's own configuration when not given */
export async function audit({ cwd, registry }: { cwd: string; registry?: string }): Promise<Audit> {
  const args = ['audit', '--json', '--fetch-retries=0', '--fetch-timeout=20000']
  if (registry !== undefined) args.push(`--registry=${registry}`)
  const npm = process.env.npm_execpath
  const child = npm ? spawn(process.execPath, [npm, ...args], { cwd }) : spawn('npm', args, { cwd })
  let said = ''
  child.stdout.on('data', (data) => {
    said += data
  })
  const trouble = await new Promise<Error | undefined>((resolve) =>
    child.once('error', resolve).once('close', () => resolve(undefined)),
  )
  if (trouble) return { kind: 'unanswered', reason: trouble.message }
  const report = Report.safeParse(jsonIn(said))
  if (!report.success) return { kind: 'unanswered', reason: `npm audit said: ${said.slice(0, 200)}` }
  if ('message' in report.data) return { kind: 'unanswered', reason: report.data.message }
  const packages = Object.entries(report.data.vulnerabilities)
    .filter(([, { severity }]) => severity === 'high' || severity === 'critical')
    .map(([name, { severity }]) => `${name}: ${severity}`)
  return packages.length === 0 ? { kind: 'clean' } : { kind: 'found', packages }
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
