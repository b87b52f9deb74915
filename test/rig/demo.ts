// The demo as somebody starts it who has just installed.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ownNode } from './own-node.ts'

export interface Demo {
  process: ChildProcess
  webApp: string
  service: string
  simulator: string
  said(): string
}

const repository = join(import.meta.dirname, '../..')

/** `npm run demo` as a process of its own, on ports that are free. It has ended, with all it started, before the next teardown. */
export async function startDemo(
  t: { teardown(work: () => unknown): unknown },
  dataDir: string,
  env: Record<string, string> = {},
): Promise<Demo> {
  const demo = spawn(...ownNode(['examples/demo.ts', '--data', dataDir, '--ports', '0,0,0']), {
    cwd: repository,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(async () => {
    if (demo.exitCode !== null || demo.signalCode !== null) return
    demo.kill('SIGTERM')
    await once(demo, 'exit')
  })
  let said = ''
  const opened = new Promise<string>((resolve, reject) => {
    const listen = (chunk: Buffer) => {
      said += chunk
      const [, url] = /Open +(http\S+)/.exec(said) ?? []
      if (url !== undefined) resolve(url)
    }
    demo.stdout.on('data', listen)
    demo.stderr.on('data', listen)
    demo.once('exit', (code) => reject(new Error(`the demo ended (${code}):\n${said}`)))
  })
  const webApp = await opened
  const [, service = ''] = /service.* (http\S+)/.exec(said) ?? []
  const [, simulator = ''] = /simulator .*(http\S+)/i.exec(said) ?? []
  return { process: demo, webApp, service, simulator, said: () => said }
}
