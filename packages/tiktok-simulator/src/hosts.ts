/** TikTok's own names, for clients that know no others, and what is found at which. */
export const domains = ['tiktok.com', 'tiktokapis.com'] as const

const uploadHost = 'open-upload.tiktokapis.com'

export function isTikTokHost(host = ''): boolean {
  const name = nameOf(host)
  return domains.some((domain) => name === domain || name.endsWith(`.${domain}`))
}

/** True for a path that TikTok has at another of its hosts: the page of a person's consent is not where the API is, nor the other way round. */
export function isAtAnotherHost(host: string | undefined, path: string): boolean {
  if (!isTikTokHost(host)) return false
  if (path === '/video/') return nameOf(host) !== uploadHost
  if (!path.startsWith('/v2/')) return false
  return nameOf(host) !== (path.startsWith('/v2/auth/') ? 'www.tiktok.com' : 'open.tiktokapis.com')
}

/** Videos go to a host of their own at TikTok, and to the same one here. */
export function uploadOriginOf(origin: string): string {
  const { protocol, host, port } = new URL(origin)
  return isTikTokHost(host) ? `${protocol}//${uploadHost}${port && `:${port}`}` : origin
}

function nameOf(host = ''): string {
  return host.replace(/:\d+$/, '').toLowerCase()
}
