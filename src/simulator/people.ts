/**
 * Who has an account at the simulated TikTok: a fixed cast, each member interesting to a client in a way of their own,
 * and anyone a test adds.
 */
import { hash } from 'node:crypto'
import { z } from 'zod'

export interface Person {
  readonly id: string
  readonly openId: string
  readonly unionId: string
  displayName: string
  username: string
  bio: string
  isVerified: boolean
  followerCount: number
  followingCount: number
  likesCount: number
  videoCount: number
  /** Colour of the generated picture, 0 to 359 degrees. */
  readonly hue: number
  /** What meeting this person teaches, for the tester who chooses. */
  readonly about: string
  /** Fields that TikTok does not send for this person, whatever the scopes. */
  readonly leavesOut: readonly string[]
  /** False: TikTok lets nobody connect this account, consent or not. */
  readonly mayConnect: boolean
  /** Made in bulk, so not shown on pages. */
  readonly inCrowd: boolean
  /** When each draft was put into the inbox and not posted yet. */
  pendingShares: number[]
}

export const PersonChange = z.strictObject({
  display_name: z.string().optional(),
  username: z.string().optional(),
  bio: z.string().optional(),
  is_verified: z.boolean().optional(),
  follower_count: z.number().int().min(0).optional(),
  following_count: z.number().int().min(0).optional(),
  likes_count: z.number().int().min(0).optional(),
  video_count: z.number().int().min(0).optional(),
})
export type PersonChange = z.infer<typeof PersonChange>

export const NewPerson = PersonChange.extend({ id: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/) })
export type NewPerson = z.infer<typeof NewPerson>

type Part = Partial<Omit<Person, 'openId' | 'unionId' | 'pendingShares' | 'id'>> & { about: string }

const cast: Record<string, Part> = {
  mara: {
    displayName: 'Mara Cooks',
    username: 'maracooks',
    bio: 'Weeknight dinners under 20 minutes',
    followerCount: 48_210,
    followingCount: 312,
    likesCount: 1_204_553,
    videoCount: 418,
    hue: 18,
    about: 'An ordinary creator. Start here.',
  },
  jonas: {
    displayName: 'Jonas Lindqvist',
    username: 'jonaslindqvist',
    bio: 'Mountains, mostly.',
    isVerified: true,
    followerCount: 4_812_337,
    followingCount: 96,
    likesCount: 98_100_442,
    videoCount: 1204,
    hue: 205,
    about: 'Has the verified badge and millions of followers.',
  },
  brightlane: {
    displayName: 'Bright Lane Ceramics',
    username: 'brightlane.ceramics',
    bio: 'Handmade in small batches. Shop opens Fridays.',
    followerCount: 12_930,
    followingCount: 41,
    likesCount: 220_871,
    videoCount: 163,
    hue: 262,
    about: 'A shop. TikTok does not say that it is one.',
  },
  newcomer: {
    displayName: 'user8041777263915',
    username: 'user8041777263915',
    hue: 96,
    about: 'Joined today: no followers, no videos, no bio.',
  },
  noura: {
    displayName: 'نورة الحسيني ✨',
    username: 'noura.alh',
    bio: 'رسم وخط عربي',
    followerCount: 87_402,
    followingCount: 530,
    likesCount: 2_650_118,
    videoCount: 377,
    hue: 330,
    about: 'A name written from right to left.',
  },
  zsofia: {
    displayName: '👩🏽‍🚀 Zsófia Ærøskøbing-Nguyễn 東京',
    username: 'zsofia_aeroskobing_nguyen',
    bio: 'Line one\nline two <b>not bold</b> & "quoted"',
    followerCount: 1_999,
    followingCount: 1_999,
    likesCount: 40_004,
    videoCount: 52,
    hue: 175,
    about: 'A long name with joined emoji, accents and Chinese; a bio with line breaks and markup.',
  },
  quiet: {
    displayName: 'Quiet Account',
    username: 'quiet',
    followerCount: 7,
    followingCount: 3,
    likesCount: 12,
    videoCount: 2,
    hue: 48,
    about: 'TikTok leaves fields out: no username, union_id or larger pictures, even with every scope.',
    leavesOut: ['username', 'union_id', 'avatar_url_100', 'avatar_large_url', 'profile_deep_link', 'bio_description'],
  },
  barred: {
    displayName: 'Barred From Apps',
    username: 'barredfromapps',
    followerCount: 210,
    followingCount: 190,
    likesCount: 3_310,
    videoCount: 24,
    hue: 0,
    about: 'May not connect to other apps: consent comes back as an error.',
    mayConnect: false,
  },
}

export class People {
  readonly #clientKey: string
  readonly #byId = new Map<string, Person>()
  readonly #byOpenId = new Map<string, Person>()
  readonly #crowdSizes = new Map<string, number>()

  constructor(clientKey: string) {
    this.#clientKey = clientKey
    for (const [id, part] of Object.entries(cast)) this.#admit(id, part)
  }

  /** Everyone with a face on the pages, in order of arrival. */
  *shown(): Generator<Person> {
    for (const person of this.#byId.values()) if (!person.inCrowd) yield person
  }

  find(id: string): Person | undefined {
    return this.#byId.get(id)
  }

  findByOpenId(openId: string): Person | undefined {
    return this.#byOpenId.get(openId)
  }

  add({ id, ...change }: NewPerson): Person {
    const person = this.#admit(id, { about: 'Added by a test.' })
    return this.change(person, change)
  }

  change(person: Person, change: PersonChange): Person {
    person.displayName = change.display_name ?? person.displayName
    person.username = change.username ?? person.username
    person.bio = change.bio ?? person.bio
    person.isVerified = change.is_verified ?? person.isVerified
    person.followerCount = change.follower_count ?? person.followerCount
    person.followingCount = change.following_count ?? person.followingCount
    person.likesCount = change.likes_count ?? person.likesCount
    person.videoCount = change.video_count ?? person.videoCount
    return person
  }

  /** The next of a crowd: `prefix-1`, `prefix-2`, … counted on from call to call. */
  addToCrowd(prefix: string): Person {
    const number = (this.#crowdSizes.get(prefix) ?? 0) + 1
    this.#crowdSizes.set(prefix, number)
    return this.#admit(`${prefix}-${number}`, { about: 'One of a crowd.', inCrowd: true, followerCount: number })
  }

  #admit(id: string, part: Part): Person {
    const person: Person = {
      id,
      openId: uuidFrom(`open_id:${this.#clientKey}:${id}`), // a user has another open_id in every app
      unionId: uuidFrom(`union_id:${id}`),
      displayName: id,
      username: id,
      bio: '',
      isVerified: false,
      followerCount: 0,
      followingCount: 0,
      likesCount: 0,
      videoCount: 0,
      hue: (id.length * 47 + (id.charCodeAt(id.length - 1) || 0) * 15) % 360,
      leavesOut: [],
      mayConnect: true,
      inCrowd: false,
      pendingShares: [],
      ...part,
    }
    this.#byId.set(id, person)
    this.#byOpenId.set(person.openId, person)
    return person
  }
}

function uuidFrom(text: string): string {
  const hex = hash('sha256', text)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
