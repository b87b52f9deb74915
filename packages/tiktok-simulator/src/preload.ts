/**
 * `node --import tiktok-simulator/preload app.js` with TIKTOK_SIMULATOR=HOST:PORT, where a simulator speaks TLS as TikTok: whatever this
 * process connects to at TikTok's hosts arrives there, with any HTTP library, those that read no proxy variables included. The names
 * stay, so certificates are checked as ever (NODE_EXTRA_CA_CERTS says by whom).
 */
import { Socket } from 'node:net'
import { isTikTokHost } from './hosts.ts'

const [, host, port] = /^\[?([^[\]]+)\]?:(\d+)$/.exec(process.env.TIKTOK_SIMULATOR ?? '') ?? []
if (host === undefined || port === undefined) throw new Error('TIKTOK_SIMULATOR=HOST:PORT says where the simulator speaks TLS.')

const connect = Socket.prototype.connect
Socket.prototype.connect = function (this: Socket, ...given: unknown[]): Socket {
  return Reflect.apply(connect, this, ledHere(given))
} as typeof connect

/** Node calls it with the options, or with a list of its own that begins with them; a copy, for the caller checks the name later. */
function ledHere([first, ...rest]: unknown[]): unknown[] {
  if (Array.isArray(first)) {
    first[0] = replaced(first[0])
    return [first, ...rest]
  }
  return [replaced(first), ...rest]
}

function replaced(options: unknown): unknown {
  if (typeof options !== 'object' || options === null || !('host' in options) || !('port' in options)) return options
  const meant = typeof options.host === 'string' && isTikTokHost(options.host) && Number(options.port) === 443
  return meant ? { ...options, host, port: Number(port) } : options
}
