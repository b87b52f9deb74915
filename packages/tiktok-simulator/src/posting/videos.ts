/**
 * `video/list` and `video/query`: a person's public videos, those that were posted here first. The older ones, as many as their
 * profile counts, are made up from the person and a number.
 */
import { hash } from 'node:crypto'
import { z } from 'zod'
import { avatarUrl } from '../avatars.ts'
import type { Call } from '../faults.ts'
import type { Person } from '../person.ts'
import { type Answer, apiSuccess, bearerOf, type Request } from '../wire.ts'
import type { World } from '../world.ts'
import { admit, answering, Refusal, readObject } from './admission.ts'

interface Video {
  readonly id: string
  readonly title: string
  readonly createdAt: number
}

/** The newest video that is made up is from 1 November 2026, and each further one three days older. */
const newestMadeUp = Date.UTC(2026, 10, 1)
const betweenMs = 3 * 86_400_000

const Page = z.object({ cursor: z.number().int().min(0).default(0), max_count: z.number().int().min(1).max(20).default(10) })
const Wanted = z.object({ filters: z.object({ video_ids: z.array(z.string()).min(1).max(20) }) })

export function videoListCall(world: World, request: Request): Call {
  return call(world, request, (person, fields) => {
    const { cursor, max_count } = parsed(Page, request)
    const found = videosBefore(world, person, cursor === 0 ? Number.POSITIVE_INFINITY : cursor, max_count + 1)
    const page = found.slice(0, max_count)
    return apiSuccess({
      videos: page.map((video) => describe(world, request, person, video, fields)),
      cursor: page.at(-1)?.createdAt ?? cursor,
      has_more: found.length > page.length,
    })
  })
}

export function videoQueryCall(world: World, request: Request): Call {
  return call(world, request, (person, fields) => {
    const { video_ids } = parsed(Wanted, request).filters
    const found = video_ids.map((id) => findVideo(world, person, id)).filter((video) => video !== undefined)
    return apiSuccess({ videos: found.map((video) => describe(world, request, person, video, fields)) })
  })
}

function call(world: World, request: Request, process: (person: Person, fields: readonly Field[]) => Answer): Call {
  return {
    shape: 'api',
    routes: ['videos'],
    subject: { person: world.grants.byAccessToken(bearerOf(request))?.person },
    process: () =>
      answering(world, 'videos', () => {
        const { person } = admit(world, request, ['video.list'], request.path, world.settings.videos_per_minute)
        return process(person, readFields(request))
      }),
  }
}

function parsed<Schema extends z.ZodType>(schema: Schema, request: Request): z.output<Schema> {
  const { data } = schema.safeParse(request.body.length === 0 ? {} : readObject(request))
  if (data === undefined) throw new Refusal('invalid_params', 'One or more parameters of the request are invalid.')
  return data
}

const sources = {
  id: ({ video }: Shown) => video.id,
  create_time: ({ video }: Shown) => Math.floor(video.createdAt / 1000),
  cover_image_url: ({ world, request, person }: Shown) => avatarUrl(world, request.origin, person, 400),
  share_url: ({ video, person }: Shown) => `https://www.tiktok.com/@${person.username}/video/${video.id}`,
  video_description: ({ video }: Shown) => video.title,
  duration: ({ video }: Shown) => 15 + chance(video, 'duration', 45),
  height: () => 1024,
  width: () => 576,
  title: ({ video }: Shown) => video.title,
  embed_html: ({ video }: Shown) => `<blockquote class="tiktok-embed" data-video-id="${video.id}"></blockquote>`,
  embed_link: ({ video }: Shown) => `https://www.tiktok.com/embed/v2/${video.id}`,
  like_count: ({ video, person }: Shown) => chance(video, 'likes', person.followerCount + 1),
  comment_count: ({ video }: Shown) => chance(video, 'comments', 500),
  share_count: ({ video }: Shown) => chance(video, 'shares', 200),
  view_count: ({ video, person }: Shown) => 10 * chance(video, 'likes', person.followerCount + 1),
}
type Field = keyof typeof sources
interface Shown {
  readonly world: World
  readonly request: Request
  readonly person: Person
  readonly video: Video
}

function describe(world: World, request: Request, person: Person, video: Video, fields: readonly Field[]) {
  return Object.fromEntries(fields.map((field) => [field, sources[field]({ world, request, person, video })]))
}

function readFields(request: Request): Field[] {
  const fields = (request.query.get('fields') ?? '').split(',')
  const known = fields.filter((field): field is Field => Object.hasOwn(sources, field))
  if (known.length < fields.length)
    throw new Refusal('invalid_params', 'One or more fields specified in the request are invalid.')
  return known
}

/** Newest first. */
function videosBefore(world: World, person: Person, time: number, count: number): Video[] {
  const posted = postedVideos(world, person).filter(({ createdAt }) => createdAt < time)
  const first = time > newestMadeUp ? 0 : Math.floor((newestMadeUp - time) / betweenMs) + 1
  const last = Math.min(first + count, madeUpCount(world, person))
  const madeUp = Array.from({ length: Math.max(0, last - first) }, (_, index) => madeUpVideo(person, first + index))
  return [...posted, ...madeUp].sort((one, other) => other.createdAt - one.createdAt).slice(0, count)
}

function findVideo(world: World, person: Person, id: string): Video | undefined {
  const index = id.startsWith(madeUpPrefix(person)) ? Number(id.slice(-9)) : Number.POSITIVE_INFINITY
  const madeUp = index < madeUpCount(world, person) ? madeUpVideo(person, index) : undefined
  return madeUp ?? postedVideos(world, person).find((video) => video.id === id)
}

function postedVideos({ publications }: World, person: Person): Video[] {
  return [...publications.ofPerson(person)].flatMap(({ posts }) =>
    posts
      .filter(({ is_public }) => is_public)
      .map(({ post_id, title, created_at }) => ({ id: post_id, title, createdAt: created_at })),
  )
}

function madeUpCount(world: World, person: Person): number {
  return Math.max(0, person.videoCount - postedVideos(world, person).length)
}

function madeUpVideo(person: Person, index: number): Video {
  const id = `${madeUpPrefix(person)}${String(index).padStart(9, '0')}`
  return { id, title: `${person.displayName}, ${index + 1} back`, createdAt: newestMadeUp - index * betweenMs }
}

/** Of the 19 digits that a video's id has, the ten that name the person. */
function madeUpPrefix({ id }: Person): string {
  return `7${String(Number.parseInt(hash('sha256', `videos:${id}`).slice(0, 7), 16)).padStart(9, '0')}`
}

/** Always the same for a video: at least 0, less than `below`. */
function chance({ id }: Video, what: string, below: number): number {
  return Number.parseInt(hash('sha256', `${what}:${id}`).slice(0, 8), 16) % below
}
