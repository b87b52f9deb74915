// What DATABASE_URL says, read as psql would read it: where to go, as whom, and how the server proves who it is. Sentences about a bad
// URL never quote it, because it holds the password.
import { isIP } from 'node:net'
import { userInfo } from 'node:os'
import { isLoopback } from '../outbound/public-address.ts'

export type TlsMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

/** Which database, and how it is reached. */
export interface DatabaseLink {
  url: string
  /** DATABASE_TLS: a server elsewhere has to prove who it is, unless this says `off` */
  tls?: 'verify' | 'off' | undefined
  /** DATABASE_POOLER: how PgBouncer shares its sessions, where one stands between */
  pooler?: 'session' | 'transaction' | undefined
  /** PGPASSWORD: the password, where the URL has none */
  password?: string | undefined
}

/** One place where a server may listen. */
export interface Target {
  /** what the certificate has to be for */
  host: string
  /** where to connect: usually the host */
  address: string
  port: number
  /** of a Unix socket, which needs no TLS */
  path?: string
  tls: TlsMode
}

export interface DatabaseAddress {
  /** tried in this order */
  targets: Target[]
  /** whether a server that takes no writes is passed over */
  writable: boolean
  user: string
  password: string | undefined
  database: string
  applicationName: string | undefined
  /** `-c name=value …`, handed to the server as it is */
  options: string | undefined
  certificates: Certificates
}

export interface Certificates {
  /** `system`, or a PEM file with the authorities to believe; without one those that Node believes */
  rootCertFile?: string | undefined
  certFile?: string | undefined
  keyFile?: string | undefined
  keyPassword?: string | undefined
  sendServerName: boolean
  minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** TLS from the first byte, without asking first (PostgreSQL 17) */
  direct: boolean
}

/** What is wrong with a database URL, to be read after the variable's name. */
export class DatabaseUrlError extends Error {}

/** Parameters of libpq and of other drivers that change nothing here: deadlines and keep-alive are the service's own. */
const ignored = new Set(
  `connect_timeout fallback_application_name gssdelegation gssencmode gsslib keepalives keepalives_count keepalives_idle
   keepalives_interval krbsrvname load_balance_hosts sslcompression tcp_user_timeout uselibpqcompat`.split(/\s+/),
)
const known = new Set(
  `application_name channel_binding client_encoding dbname host hostaddr options password port ssl ssl_min_protocol_version sslcert
   sslkey sslmode sslnegotiation sslpassword sslrootcert sslsni target_session_attrs user`.split(/\s+/),
)
const modes: readonly string[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']
const usualPort = 5432

const encodeIt =
  'cannot be read: in user and password, percent-encode every character but letters, digits and - . _ ~ (such as / as %2F, # as %23, ? as %3F, @ as %40, % as %25)'

/** @throws DatabaseUrlError */
export function readDatabaseUrl({ url, tls, password: otherwise }: DatabaseLink): DatabaseAddress {
  const { authority, path, query } = split(url.trim()) // a secret that was read from a file often ends with its line
  const at = authority.lastIndexOf('@')
  const [user, password] = at === -1 ? [] : splitOnce(authority.slice(0, at), ':')
  const said = parameters(query)
  const hosts = hostsOf(authority.slice(at + 1), said)
  const attributes = oneOf(said, 'target_session_attrs', ['any', 'read-write', 'primary'], 'because the service writes')
  const channelBinding = oneOf(said, 'channel_binding', ['disable', 'prefer', 'require'])
  if (channelBinding === 'require')
    throw new DatabaseUrlError(
      'asks for channel_binding=require, which this driver does not know: take that parameter away and write sslmode=verify-full instead, which keeps a stranger out as well',
    )
  const name = decoded(path) || said.get('dbname')
  const who = (user && decoded(user)) || said.get('user') || systemUser()
  return {
    targets: hosts.map((host) => ({ ...host, tls: tlsMode(host, said, tls) })),
    // With several servers only the one that takes writes is of use, so that is what is looked for unless the URL says otherwise.
    writable: (attributes ?? (hosts.length > 1 ? 'read-write' : 'any')) !== 'any',
    user: who,
    password: password ? decoded(password) : (said.get('password') ?? otherwise),
    database: name || who,
    applicationName: said.get('application_name'),
    options: said.get('options'),
    certificates: {
      rootCertFile: said.get('sslrootcert'),
      certFile: said.get('sslcert'),
      keyFile: said.get('sslkey'),
      keyPassword: said.get('sslpassword'),
      sendServerName: oneOf(said, 'sslsni', ['0', '1']) !== '0',
      minVersion: oneOf(said, 'ssl_min_protocol_version', ['TLSv1.2', 'TLSv1.3']) ?? 'TLSv1.2',
      direct: oneOf(said, 'sslnegotiation', ['postgres', 'direct']) === 'direct',
    },
  }
}

/** A password with a character that means something in a URL is noticed here, before half of it is taken for a host. */
function split(url: string): { authority: string; path: string; query: string } {
  if (!/^postgres(ql)?:\/\//i.test(url))
    throw new DatabaseUrlError(
      'does not begin with postgres://: write postgres://USER:PASSWORD@HOST:PORT/DATABASE, without quotes around it',
    )
  const [, authority = '', path = '', query = ''] =
    /^postgres(?:ql)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/is.exec(url) ?? []
  const rest = url.slice(url.indexOf('://') + 3 + authority.length)
  if ((authority === '' && !/^[/?]/.test(rest)) || path.includes('@')) throw new DatabaseUrlError(encodeIt)
  if (!authority.includes('@') && rest.includes('@')) throw new DatabaseUrlError(encodeIt)
  return { authority, path, query }
}

function parameters(query: string): Map<string, string> {
  const said = new Map<string, string>()
  for (const item of query.split('&')) {
    if (item === '') continue
    const [key, value = ''] = splitOnce(item, '=').map(decoded)
    if (key === undefined || ignored.has(key)) continue
    if (!known.has(key))
      throw new DatabaseUrlError(
        `has a parameter that is not known: ${/^\w{1,32}$/.test(key) ? key : '(its name is no word)'}. Take it away; settings of a session belong into ALTER ROLE`,
      )
    said.set(key, value)
  }
  const ssl = said.get('ssl')
  if (ssl !== undefined && !said.has('sslmode'))
    said.set('sslmode', ssl === 'true' ? 'require' : ssl === 'false' ? 'disable' : ssl)
  return said
}

type Host = Omit<Target, 'tls'>

function hostsOf(authority: string, said: Map<string, string>): Host[] {
  const written = authority === '' ? [] : authority.split(',').map(hostAndPort)
  const names = said.get('host')?.split(',') ?? written.map(({ host }) => host)
  const addresses = said.get('hostaddr')?.split(',')
  if (names.length === 0) names.push(...(addresses ?? ['']))
  const ports = said.get('port')?.split(',') ?? written.map(({ port }) => port)
  if ((ports.length > 1 && ports.length !== names.length) || (addresses && addresses.length !== names.length))
    throw new DatabaseUrlError('names hosts and ports in different numbers: one port for all, or one for each')
  return names.map((name, index) => {
    const host = name === '' ? 'localhost' : name
    const port = portOf(ports.length > 1 ? ports[index] : ports[0])
    if (host.startsWith('/')) return { host, address: host, port, path: `${host}/.s.PGSQL.${port}` }
    return { host, address: addresses?.[index] || host, port }
  })
}

function hostAndPort(text: string): { host: string; port: string } {
  const [, v6, name = '', port = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/s.exec(text) ?? []
  if (v6 === undefined && name === '' && text !== '' && port === '') throw new DatabaseUrlError(encodeIt)
  return { host: decoded(v6 ?? name), port }
}

function portOf(text: string | undefined): number {
  if (text === undefined || text === '') return usualPort
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) throw new DatabaseUrlError(`${encodeIt}; or its port is not a number from 1 to 65535`)
  return port
}

function tlsMode(host: Host, said: Map<string, string>, demanded: 'verify' | 'off' | undefined): TlsMode {
  const mode = oneOf(said, 'sslmode', modes)
  const root = said.get('sslrootcert')
  if (host.path !== undefined) return 'disable'
  if (root === 'system' && mode !== undefined && mode !== 'verify-full')
    throw new DatabaseUrlError('has sslrootcert=system, which goes with sslmode=verify-full only')
  if (mode === 'verify-ca' && root === undefined)
    throw new DatabaseUrlError('has sslmode=verify-ca without sslrootcert=FILE: name the authority, or write sslmode=verify-full')
  // psql: with an authority named, `require` believes that authority and nobody else.
  const wanted = root === 'system' ? 'verify-full' : mode === 'require' && root !== undefined ? 'verify-ca' : mode
  const mustVerify = demanded === 'verify' || (demanded !== 'off' && !isThisMachine(host.address))
  if (mustVerify && wanted !== undefined && !wanted.startsWith('verify'))
    throw new DatabaseUrlError(
      `has sslmode=${wanted}, with which anybody between here and the server may read along or pose as it: write sslmode=verify-full, with sslrootcert=FILE where the certificate is of your own authority. In a network that you trust, DATABASE_TLS=off lets it stand`,
    )
  if (wanted === 'allow') return 'prefer'
  return (wanted as TlsMode | undefined) ?? (mustVerify ? 'verify-full' : 'disable')
}

function isThisMachine(address: string): boolean {
  return isLoopback(isIP(address) === 6 ? `[${address}]` : address.toLowerCase())
}

function oneOf<const T extends string>(said: Map<string, string>, name: string, allowed: readonly T[], why = ''): T | undefined {
  const value = said.get(name)
  if (value === undefined || value === '') return undefined
  const found = allowed.find((one) => one === value)
  if (found === undefined)
    throw new DatabaseUrlError(`has a ${name} that is not one of ${allowed.join(', ')}${why === '' ? '' : `, ${why}`}`)
  return found
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator)
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}

function decoded(text: string): string {
  let plain: string
  try {
    plain = decodeURIComponent(text)
  } catch {
    throw new DatabaseUrlError(encodeIt)
  }
  // In the first message to the server it would end the value, and what follows would be read as another setting.
  if (plain.includes('\0')) throw new DatabaseUrlError('has a %00, which PostgreSQL takes nowhere: take it out')
  return plain
}

function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    throw new DatabaseUrlError('names no user: write postgres://USER:PASSWORD@HOST:PORT/DATABASE') // a container's user without a name
  }
}
