// Debian's HAProxy before several replicas, with TLS, as it stands in a deployment: it asks who is ready and sends calls to nobody else.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { request } from 'undici'
import { freePort } from '../../examples/demo/ports.ts'
import { ownFolder } from '../folder.ts'
import type { Certificate } from './tls-postgres.ts'

const program = 'haproxy'
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }

export const noHaproxy =
  spawnSync(program, ['-v'], { env }).status === 0 ? false : 'no haproxy on this machine: `apt-get install haproxy` brings it'

export interface Haproxy {
  /** https, at an address that the certificate has to be for */
  url: string
  /** @returns how many replicas it sends calls to */
  up(): Promise<number>
  /** Reads its configuration again, as after a change of it: a new process takes over. */
  reload(): void
}

/** @param places the ports of the replicas on this machine */
export async function startHaproxy(
  t: { teardown(work: () => unknown): unknown },
  { certFile, keyFile }: Certificate,
  places: number[],
): Promise<Haproxy> {
  const dir = await ownFolder(t, 'haproxy')
  const [door, stats] = [await freePort(0), await freePort(0)]
  const servers = places.map((port) => `  server s${port} 127.0.0.1:${port} check inter 500ms fall 2 rise 1`)
  await writeFile(join(dir, 'door.pem'), [await readFile(certFile), await readFile(keyFile)].join(''), { mode: 0o600 })
  await writeFile(
    join(dir, 'config'),
    `defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout check 3s
listen service
  bind 127.0.0.1:${door} ssl crt ${join(dir, 'door.pem')}
  option forwardfor
  http-request set-header X-Forwarded-Proto https
  option redispatch 1
  option httpchk GET /health/ready
  http-check expect status 200
${servers.join('\n')}
listen stats
  bind 127.0.0.1:${stats}
  stats enable
  stats uri /
`,
  )
  const master = spawn(program, ['-W', '-db', '-f', join(dir, 'config')], { env, stdio: 'ignore' })
  await once(master, 'spawn')
  t.teardown(async () => {
    if (master.exitCode === null && master.signalCode === null) {
      const exit = once(master, 'exit')
      master.kill('SIGTERM')
      await exit
    }
  })
  return {
    url: `https://127.0.0.1:${door}`,
    async up() {
      const answer = await request(`http://127.0.0.1:${stats}/;csv`).catch(() => undefined)
      const lines = (await answer?.body.text())?.split('\n') ?? []
      return lines.filter((line) => /^service,s\d+,/.test(line) && line.split(',')[17] === 'UP').length
    },
    reload: () => void master.kill('SIGUSR2'),
  }
}
