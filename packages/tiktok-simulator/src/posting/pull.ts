/**
 * `PULL_FROM_URL`: the simulator fetches the media as TikTok would, but from this machine only, unless a host was named. Neither the
 * bytes nor the answer of the other side come back to the caller: they are counted.
 */
import type { Settings } from '../settings.ts'
import type { World } from '../world.ts'
import { Refusal } from './admission.ts'
import type { Publication } from './publication.ts'
import { pullFailure } from './publications.ts'

const longestPullMs = 3_600_000

class WrongFormat extends Error {}

/** Only the type that the other side names is looked at: a page of HTML in the place of a video is a common mistake. */
const notMedia = {
  video: /^(text|image|audio)\/|^application\/json/i,
  photo: /^(?!image\/(jpeg|webp)\b|application\/octet-stream)/i,
}

/** @throws Refusal: invalid_params for what is no https URL, url_ownership_unverified */
export function checkUrl({ verified_urls }: Settings, url: string): void {
  const { protocol, hostname, username, href } = URL.canParse(url) ? new URL(url) : new URL('about:blank')
  const isWeb = protocol === 'https:' || (protocol === 'http:' && isThisMachine(hostname))
  if (!isWeb || username !== '') throw new Refusal('invalid_params', 'The request source info is empty or incorrect')
  const isOurs = (owned: string) =>
    owned.includes('/') ? href.startsWith(owned) : hostname === owned || hostname.endsWith(`.${owned}`)
  if (verified_urls !== null && !verified_urls.some(isOurs))
    throw new Refusal(
      'url_ownership_unverified',
      'Please verify the ownership of the domain or URL prefix in the developer portal.',
    )
}

/** Begins and does not wait. What the person or the app ends meanwhile stays ended. */
export function startPulling(world: World, publication: Publication, urls: readonly string[]): void {
  const { publications } = world
  pullAll(world, publication, urls).then(
    () => isPulled(publication, world) && publications.arrive(publication),
    (error: Error) => {
      if (!isPulled(publication, world) || world.closing.aborted) return
      const reason = error instanceof WrongFormat ? 'file_format_check_failed' : pullFailure(publication)
      publications.fail(publication, reason, error.message)
    },
  )
}

async function pullAll(world: World, publication: Publication, urls: readonly string[]): Promise<void> {
  const { settings, closing } = world
  const stranger = urls.map((url) => new URL(url).hostname).find((host) => !mayPull(settings, host))
  if (stranger !== undefined) throw new Error(`only this machine is pulled from: name ${stranger} in the setting pull_hosts`)
  const signal = AbortSignal.any([closing, AbortSignal.timeout(longestPullMs)])
  for (const url of urls) {
    const response = await fetch(url, { redirect: 'manual', signal }) // a redirect could lead to where the URL may not
    if (response.status !== 200 || !response.body) throw new Error(`${url} answered ${response.status}`)
    const type = response.headers.get('content-type')
    if (type !== null && notMedia[publication.media].test(type)) throw new WrongFormat(`${url} is ${type}`)
    for await (const piece of response.body) {
      if (!isPulled(publication, world)) return
      publication.bytes += piece.length
    }
  }
}

/** Another world may have been put back, and know nothing of it. */
function isPulled(publication: Publication, { publications }: World): boolean {
  const { publish_id, status, arrived_at } = publication
  return publications.find(publish_id) === publication && status === 'PROCESSING_DOWNLOAD' && arrived_at === null
}

function mayPull({ pull_hosts }: Settings, hostname: string): boolean {
  return isThisMachine(hostname) || pull_hosts.includes(hostname)
}

/** By its address, or the one name that means it: any other name could be made to point anywhere. */
function isThisMachine(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}
