// Ports: the usual ones, so that a bookmark works tomorrow; others when somebody has taken them.
import { createServer } from 'node:net'

/** @returns the first free port from `wished` on; any free one when there is none near, or `wished` is 0 */
export async function freePort(wished: number): Promise<number> {
  for (let port = wished; port < wished + 20; port += 1) {
    const free = await tryPort(port)
    if (free !== undefined) return free
  }
  return (await tryPort(0)) ?? wished
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(undefined))
    probe.listen(port, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(address !== null && typeof address === 'object' ? address.port : undefined))
    })
  })
}
