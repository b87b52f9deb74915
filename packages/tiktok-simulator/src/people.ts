/** Who has an account at the simulated TikTok: the cast, and anyone a test adds. */
import { cast, type Part } from './cast.ts'
import { Creator, type NewPerson, openIdOf, type Person, type PersonChange, unionIdOf } from './person.ts'

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

  /** Who the person is to this app. */
  openIdOf({ id }: Pick<Person, 'id'>): string {
    return openIdOf(this.#clientKey, id)
  }

  findByOpenId(openId: string): Person | undefined {
    return this.#byOpenId.get(openId)
  }

  findByEither(idOrOpenId: string): Person | undefined {
    return this.#byId.get(idOrOpenId) ?? this.#byOpenId.get(idOrOpenId)
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
    person.creator = Creator.parse({ ...person.creator, ...change.creator })
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
      unionId: unionIdOf(id),
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
      creator: {
        is_private: false,
        comment_disabled: false,
        duet_disabled: false,
        stitch_disabled: false,
        max_video_post_duration_sec: 600,
        banned_from_posting: false,
      },
      ...part,
    }
    this.#byId.set(id, person)
    this.#byOpenId.set(this.openIdOf(person), person)
    return person
  }
}
