// A PostgreSQL with TLS and an authority of its own, and servers that only begin to be one: for the ways in which connecting fails.
import { execFile } from 'node:child_process'
import { chown, readFile, stat, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createSecureContext, TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { startEmbeddedPostgres } from '../../tools/embedded-postgres/embedded.ts'
import { ownFolder } from '../folder.ts'

interface Scope {
  teardown(work: () => unknown): unknown
}

const run = promisify(execFile)

/** Certificates are made with the machine's openssl. */
export const noOpenssl = await run('openssl', ['version']).then(
  () => false as const,
  () => 'no openssl on this machine: `apt-get install openssl` brings it',
)

export interface Certificate {
  certFile: string
  keyFile: string
}

export interface Authority {
  rootFile: string
  /** @param names as in subjectAltName, such as `DNS:localhost`; none: only the common name */
  issue(commonName: string, names: string[]): Promise<Certificate>
}

export async function makeAuthority(t: Scope): Promise<Authority> {
  const folder = await ownFolder(t, 'authority')
  const newKey = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const [rootFile, rootKey] = [join(folder, 'root.crt'), join(folder, 'root.key')]
  await run('openssl', [...newKey, '-keyout', rootKey, '-out', rootFile, '-subj', '/CN=an authority for tests'])
  let issued = 0
  return {
    rootFile,
    async issue(commonName, names) {
      issued += 1
      const [certFile, keyFile] = [join(folder, `${issued}.crt`), join(folder, `${issued}.key`)]
      const extensions = ['-addext', 'basicConstraints=critical,CA:FALSE']
      if (names.length > 0) extensions.push('-addext', `subjectAltName=${names.join(',')}`)
      const signedBy = ['-CA', rootFile, '-CAkey', rootKey]
      await run('openssl', [
        ...newKey,
        ...signedBy,
        '-keyout',
        keyFile,
        '-out',
        certFile,
        '-subj',
        `/CN=${commonName}`,
        ...extensions,
      ])
      return { certFile, keyFile }
    },
  }
}

export interface TlsPostgres {
  /** of its superuser, on 127.0.0.1 and without any word about TLS */
  readonly url: string
  /** not by the service's way: what the operator sees */
  operate<T>(work: (sql: postgres.Sql) => PromiseLike<T>): Promise<T>
  /** From now on new connections see this certificate. */
  present(certificate: Certificate): Promise<void>
  /** @param lines of pg_hba.conf, instead of those there are */
  admit(lines: string[]): Promise<void>
  /** Ends all connections and starts again, at another port. */
  restart(): Promise<void>
}

/** @param rootFile of the authority whose client certificates it believes */
export async function startTlsPostgres(t: Scope, certificate: Certificate, rootFile: string): Promise<TlsPostgres> {
  const dataDir = await ownFolder(t, 'tls')
  const start = (settings: Record<string, string>) => startEmbeddedPostgres({ dataDir, throwaway: true, settings })
  let server = await start({})
  const data = join(dataDir, 'postgres', 'cluster', 'data')
  const { uid, gid } = await stat(data)
  const put = async (name: string, content: string) => {
    await writeFile(join(data, name), content, { mode: 0o600 })
    await chown(join(data, name), uid, gid)
  }
  const putCertificate = async ({ certFile, keyFile }: Certificate) => {
    await put('server.crt', await readFile(certFile, 'utf8'))
    await put('server.key', await readFile(keyFile, 'utf8'))
  }
  await putCertificate(certificate)
  await put('root.crt', await readFile(rootFile, 'utf8'))
  const settings = { ssl: 'on', ssl_ca_file: 'root.crt' }
  const restart = async () => {
    await server.stop()
    server = await start(settings)
  }
  t.teardown(async () => {
    await server.stop()
  })
  await restart()

  const operate: TlsPostgres['operate'] = async (work) => {
    const sql = postgres(server.url, { max: 1, onnotice: () => {} })
    try {
      return await work(sql)
    } finally {
      await sql.end()
    }
  }
  return {
    get url() {
      return server.url
    },
    operate,
    async present(certificate) {
      await putCertificate(certificate)
      await operate((sql) => sql`select pg_reload_conf()`)
    },
    async admit(lines) {
      await put('pg_hba.conf', ['host all postgres 127.0.0.1/32 scram-sha-256', ...lines, ''].join('\n'))
      await operate((sql) => sql`select pg_reload_conf()`)
    },
    restart,
  }
}

/** How far a server comes before it fails; after `S` it speaks TLS. */
export type Failure =
  | 'hangs up'
  | 'resets'
  | 'answers HTTP'
  | 'slips in plain text'
  | 'hangs up in TLS'
  | 'refuses'
  | 'hangs up at the password'

/** @returns the port of a server that fails like this every time */
export async function startFailingServer(t: Scope, failure: Failure, { certFile, keyFile }: Certificate): Promise<number> {
  const secureContext = createSecureContext({ cert: await readFile(certFile), key: await readFile(keyFile) })
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.once('data', () => {
      if (failure === 'hangs up') return socket.end()
      if (failure === 'resets') return socket.resetAndDestroy()
      if (failure === 'answers HTTP') return socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
      if (failure === 'slips in plain text') return socket.write('SR\0\0\0\x08\0\0\0\0')
      socket.write('S')
      if (failure === 'hangs up in TLS') return socket.once('data', () => socket.destroy())
      const secure = new TLSSocket(socket, { isServer: true, secureContext })
      secure.on('error', () => {})
      secure.once('data', () => {
        if (failure === 'refuses') return secure.end(errorResponse('57P03', 'the database system is starting up'))
        secure.write(Buffer.from([82, 0, 0, 0, 8, 0, 0, 0, 3])) // AuthenticationCleartextPassword
        secure.once('data', () => secure.destroy())
      })
      return undefined
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

function errorResponse(code: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(fields.length + 4)
  return Buffer.concat([Buffer.from('E'), length, fields])
}
