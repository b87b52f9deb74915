// A tunnel through a forward proxy (CONNECT, RFC 9110 §9.3.6). Loaded where there is such a proxy.
import { type RequestOptions, request } from 'node:http'
import { request as requestOverTls } from 'node:https'
import type { Socket } from 'node:net'
import { ProxyFailed } from './proxy-failed.ts'

/** @param authority whom the proxy is to connect to, such as `open.tiktokapis.com:443` */
export function tunnelTo(proxy: URL, authority: string, timeoutMs: number): Promise<Socket> {
  const { protocol, hostname, port, username, password } = proxy
  const credentials = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')
  const options: RequestOptions = {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port || (protocol === 'https:' ? 443 : 80),
    method: 'CONNECT',
    path: authority,
    agent: false,
    headers: { host: authority, ...(username + password === '' ? {} : { 'proxy-authorization': `Basic ${credentials}` }) },
  }
  return new Promise((resolve, reject) => {
    const asking = protocol === 'https:' ? requestOverTls(options) : request(options)
    const deadline = setTimeout(() => asking.destroy(new ProxyFailed('does not answer')), timeoutMs)
    asking.once('connect', ({ statusCode }, socket, head) => {
      clearTimeout(deadline)
      if (statusCode !== 200) {
        socket.destroy()
        return reject(new ProxyFailed(`answers ${statusCode}`))
      }
      if (head.length > 0) socket.unshift(head)
      resolve(socket as Socket)
    })
    asking.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(deadline)
      reject(error instanceof ProxyFailed ? error : new ProxyFailed(`cannot be reached (${error.code ?? 'closed'})`, error))
    })
    asking.end()
  })
}
