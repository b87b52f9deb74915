// The way to one server: a socket, and TLS on it when the address asks for that. postgres.js is handed a socket that is ready; its own TLS
// writes to a socket that we have destroyed, and the error that nobody hears ends the process.
import { readFile } from 'node:fs/promises'
import { isIP, connect as openSocket, type Socket } from 'node:net'
import {
  type ConnectionOptions,
  checkServerIdentity,
  getCACertificates,
  connect as openTls,
  type PeerCertificate,
  type TLSSocket,
} from 'node:tls'
import type { Certificates, Target } from '../settings/database-url.ts'

export interface Line {
  /** a socket on which the server waits for its first message */
  ready: Promise<Socket>
  /** Drops it, however far it has come. */
  destroy(): void
}

/** Asks whether the server speaks TLS: the length 8 and the number that PostgreSQL has chosen for this question. */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

export function dial(target: Target, certificates: Certificates): Line {
  const plain = target.path ? openSocket(target.path) : openSocket({ host: target.address, port: target.port })
  plain.on('error', ignore) // who waits hears of it; without a listener it ends the process
  let secure: TLSSocket | undefined

  async function connect(): Promise<Socket> {
    await happened(plain, 'connect')
    plain.setNoDelay(true)
    if (target.tls === 'disable') return plain
    if (!certificates.direct && !(await offersTls(plain))) {
      if (target.tls === 'prefer') return plain
      throw coded('TLS_NOT_OFFERED', 'the server offers no TLS')
    }
    secure = openTls({
      ...(await readCertificates(certificates)),
      socket: plain,
      host: target.host, // not `servername`, which must not be an address: the certificate's addresses are checked against this
      ...(certificates.sendServerName && isIP(target.host) === 0 ? { servername: target.host } : {}),
      ALPNProtocols: ['postgresql'],
      minVersion: certificates.minVersion,
      rejectUnauthorized: target.tls.startsWith('verify'),
      checkServerIdentity: target.tls === 'verify-full' ? checkName : () => undefined,
    })
    secure.on('error', ignore)
    await happened(secure, 'secureConnect')
    return secure
  }

  return {
    ready: connect(),
    destroy() {
      secure?.destroy()
      plain.destroy()
    },
  }
}

/**
 * @returns what comes with the event
 * @throws the socket's error, or one with ECONNRESET when the other side hangs up first
 */
function happened(socket: Socket, event: 'connect' | 'secureConnect' | 'data'): Promise<unknown> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve)
    socket.once('error', reject)
    socket.once('close', () => reject(coded('ECONNRESET', 'the server hung up while the connection was being opened')))
  })
}

async function offersTls(socket: Socket): Promise<boolean> {
  const answer = happened(socket, 'data')
  socket.write(sslRequest)
  // One byte and no more: what comes behind it is somebody who slips plain text in before the encryption begins (CVE-2021-23222).
  const word = String(await answer)
  if (word === 'S') return true
  if (word === 'N') return false
  if (word.startsWith('E')) throw coded('ECONNRESET', 'the server has no room for another connection')
  throw coded('NOT_POSTGRESQL', 'what listens there does not speak the protocol of PostgreSQL')
}

/** Read anew for every connection: a file that was renewed counts from the next one on. */
async function readCertificates({ rootCertFile, certFile, keyFile, keyPassword }: Certificates): Promise<ConnectionOptions> {
  const [ca, cert, key] = await Promise.all([
    rootCertFile === 'system' ? systemAuthorities() : pem('sslrootcert', rootCertFile),
    pem('sslcert', certFile),
    pem('sslkey', keyFile),
  ])
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), ...(keyPassword && { passphrase: keyPassword }) }
}

async function pem(parameter: string, file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  return readFile(file, 'utf8').catch((cause) => {
    throw Object.assign(coded('CERTIFICATE_FILE', `${parameter} cannot be read`), { cause, parameter })
  })
}

let systemsOwn: string[] | undefined

function systemAuthorities(): string[] {
  systemsOwn ??= getCACertificates('system')
  return systemsOwn
}

/** As psql: an address may also stand as the certificate's common name, where it names nothing else. Node allows that for names only. */
function checkName(host: string, certificate: PeerCertificate): Error | undefined {
  if (isIP(host) !== 0 && certificate.subjectaltname === undefined && certificate.subject.CN === host) return undefined
  return checkServerIdentity(host, certificate)
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

function ignore(): void {}
