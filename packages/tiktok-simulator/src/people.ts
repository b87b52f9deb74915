/** Who has an account at the simulated TikTok: the cast, and anyone a test adds. */
import { cast, type Part } from './cast.ts'
import { Creator, type NewPerson, openIdOf, type Person, type PersonChange, unionIdOf } from './person.ts'

export class People {
  readonly kept: { readonly byId: Map<string, Person>; readonly crowdSizes: Map<string, number> }
  readonly #clientKey: string
  readonly #developer: string
  readonly #idsByOpenId = new Map<string, string>()

  /** @param sameAs as another app of the same developer knows them */
  constructor(clientKey: string, developer: string, sameAs?: People) {
    this.#clientKey = clientKey
    this.#developer = developer
    this.kept = sameAs?.kept ?? { byId: new Map(), crowdSizes: new Map() }
    if (!sameAs) for (const [id, part] of Object.entries(cast)) this.#admit(id, part)
  }

  /** Everyone with a face on the pages, in order of arrival. */
  *shown(): Generator<Person> {
    for (const person of this.kept.byId.values()) if (!person.inCrowd) yield person
  }

  find(id: string): Person | undefined {
    return this.kept.byId.get(id)
  }

  /** Who the person is to this app. */
  openIdOf({ id }: Pick<Person, 'id'>): string {
    return openIdOf(this.#clientKey, id)
  }

  findByOpenId(openId: string): Person | undefined {
    if (!this.#idsByOpenId.has(openId)) this.#learn()
    return this.find(this.#idsByOpenId.get(openId) ?? '')
  }

  findByEither(idOrOpenId: string): Person | undefined {
    return this.find(idOrOpenId) ?? this.findByOpenId(idOrOpenId)
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
    const number = (this.kept.crowdSizes.get(prefix) ?? 0) + 1
    this.kept.crowdSizes.set(prefix, number)
    return this.#admit(`${prefix}-${number}`, { about: 'One of a crowd.', inCrowd: true, followerCount: number })
  }

  /** Whoever came by another app, or with a world that was put back. */
  #learn(): void {
    this.#idsByOpenId.clear()
    for (const person of this.kept.byId.values()) this.#idsByOpenId.set(this.openIdOf(person), person.id)
  }

  #admit(id: string, part: Part): Person {
    const person: Person = {
      id,
      unionId: unionIdOf(this.#developer, id),
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
    this.kept.byId.set(id, person)
    this.#idsByOpenId.set(this.openIdOf(person), id)
    return person
  }
}
