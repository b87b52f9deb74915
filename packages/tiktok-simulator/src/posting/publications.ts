/**
 * The life of every publication: bytes arrive, TikTok processes them, the person is asked or the post is there, moderation lets it
 * be seen. Each step happens when the clock says so or when it is told to, and the app hears of each once.
 */
import type { Clock } from '../clock.ts'
import { someDigits } from '../opaque.ts'
import type { People } from '../people.ts'
import type { Person } from '../person.ts'
import type { Settings } from '../settings.ts'
import type { Webhooks } from '../webhooks.ts'
import { type FailReason, isUnderway, type Post, type PrivacyLevel, type Publication } from './publication.ts'

const dayMs = 86_400_000
/** A client gone wild should not fill the memory: beyond these the oldest is forgotten. */
const maxKept = 10_000
/** Timers count in 31 bits. */
const longestWaitMs = 2 ** 31 - 1

export class Publications {
  readonly kept = { all: new Map<string, Publication>() }
  readonly #clock: Clock
  readonly #settings: Settings
  readonly #people: People
  readonly #webhooks: Webhooks
  readonly #closing: AbortSignal
  #timer: NodeJS.Timeout | undefined
  #tellChanged: () => void = () => {}

  constructor(clock: Clock, settings: Settings, people: People, webhooks: Webhooks, closing: AbortSignal) {
    this.#clock = clock
    this.#settings = settings
    this.#people = people
    this.#webhooks = webhooks
    this.#closing = closing
    clock.onStep(() => this.settle())
    closing.addEventListener('abort', () => clearTimeout(this.#timer))
  }

  /** @param tell called after steps that no request asked for: those of time, and of a download */
  onChange(tell: () => void): void {
    this.#tellChanged = tell
  }

  add(publication: Publication): void {
    this.kept.all.set(publication.publish_id, publication)
    const [oldest] = this.kept.all.keys()
    if (this.kept.all.size > maxKept && oldest !== undefined) this.kept.all.delete(oldest)
  }

  /** They are as another process or another hour knew them: what was due meanwhile happens, and downloads have ended. */
  restored(): void {
    for (const publication of this.kept.all.values()) {
      if (publication.status === 'PROCESSING_DOWNLOAD' && publication.arrived_at === null)
        this.fail(publication, pullFailure(publication), 'the simulator was stopped while it pulled')
    }
    this.settle()
  }

  /** In order of arrival. */
  all(): IterableIterator<Publication> {
    return this.kept.all.values()
  }

  find(publishId: string): Publication | undefined {
    return this.kept.all.get(publishId)
  }

  findUpload(uploadId: string, uploadToken: string): Publication | undefined {
    for (const publication of this.kept.all.values()) {
      const { upload } = publication
      if (upload?.upload_id === uploadId && upload.upload_token === uploadToken) return publication
    }
    return undefined
  }

  *ofPerson({ id }: Person): Generator<Publication> {
    for (const publication of this.kept.all.values()) if (publication.person === id) yield publication
  }

  /** Drafts of the last 24 hours that wait to be posted. One that was posted, or failed, makes room at once. */
  pendingShares(person: Person): number {
    return [...this.ofPerson(person)].filter(
      (one) => one.mode === 'inbox' && this.#isOfLastDay(one) && one.status !== 'PUBLISH_COMPLETE' && one.status !== 'FAILED',
    ).length
  }

  /** Direct posts of the last 24 hours. */
  recentPosts(person: Person): number {
    return [...this.ofPerson(person)].filter((one) => one.mode === 'direct' && this.#isOfLastDay(one) && one.status !== 'FAILED')
      .length
  }

  /** Ids of the people whom the app published for in the last 24 hours. */
  activeUsers(): Set<string> {
    const direct = [...this.kept.all.values()].filter((one) => one.mode === 'direct' && this.#isOfLastDay(one))
    return new Set(direct.map(({ person }) => person))
  }

  /** More bytes came in; with the last of them processing begins. */
  receive(publication: Publication, bytes: number): void {
    publication.bytes += bytes
    if (publication.bytes === publication.upload?.video_size) this.arrive(publication)
  }

  arrive(publication: Publication): void {
    publication.arrived_at = this.#clock.now()
    this.settle()
  }

  fail(publication: Publication, reason: FailReason, note: string | null = null): void {
    publication.status = 'FAILED'
    publication.fail_reason = reason
    publication.note = note
    this.#notify(publication, 'post.publish.failed', { reason })
    this.#tellChanged()
  }

  /** The person has posted the draft, which they may do again. */
  post(publication: Publication, privacyLevel: PrivacyLevel, title = publication.title): void {
    publication.status = 'PUBLISH_COMPLETE'
    publication.posts.push({
      post_id: `7${someDigits(18)}`,
      title,
      privacy_level: privacyLevel,
      created_at: this.#clock.now(),
      moderated: false,
      is_public: false,
    })
    this.#notify(publication, 'post.publish.complete')
    this.settle()
  }

  /** For everyone to see from now on, or not any more. */
  show(publication: Publication, post: Post, isPublic: boolean): void {
    if (post.is_public === isPublic) return
    post.is_public = isPublic
    post.moderated = true
    const person = this.#people.find(publication.person)
    if (person) person.videoCount = Math.max(0, person.videoCount + (isPublic ? 1 : -1))
    const event = isPublic ? 'post.publish.publicly_available' : 'post.publish.no_longer_publicaly_available'
    this.#notify(publication, event, { post_id: post.post_id })
  }

  /** The next step at once, whatever it waits for. @returns false when there is none */
  advance(publication: Publication): boolean {
    const waiting = publication.posts.find(awaitsModeration)
    if (isUnderway(publication)) this.#process(publication)
    else if (publication.status === 'SEND_TO_USER_INBOX') this.post(publication, this.usualPrivacy(publication))
    else if (waiting) this.show(publication, waiting, true)
    else return false
    this.settle()
    return true
  }

  /** As a person posts who changes nothing. */
  usualPrivacy(publication: Publication): PrivacyLevel {
    return this.#people.find(publication.person)?.creator.is_private ? 'FOLLOWER_OF_CREATOR' : 'PUBLIC_TO_EVERYONE'
  }

  /** The person took the app's permission back, so what is on its way ends. */
  authRemoved(person: Person): void {
    for (const publication of this.ofPerson(person)) if (isUnderway(publication)) this.fail(publication, 'auth_removed')
  }

  /** Takes every step that is due, and waits for the next. */
  settle(): void {
    const now = this.#clock.now()
    let next = Number.POSITIVE_INFINITY
    for (const publication of this.kept.all.values()) {
      if (isUnderway(publication) && publication.arrived_at !== null) {
        const dueAt = publication.arrived_at + this.#settings.processing_seconds * 1000
        if (dueAt <= now) this.#process(publication)
        else next = Math.min(next, dueAt)
      }
      for (const post of publication.posts.filter(awaitsModeration)) {
        const dueAt = post.created_at + this.#settings.moderation_seconds * 1000
        if (dueAt <= now) this.show(publication, post, true)
        else next = Math.min(next, dueAt)
      }
    }
    this.#tellChanged()
    this.#wakeAt(next)
  }

  #process(publication: Publication): void {
    publication.bytes = publication.upload?.video_size ?? publication.bytes
    publication.arrived_at ??= this.#clock.now()
    if (publication.mode === 'inbox') {
      publication.status = 'SEND_TO_USER_INBOX'
      this.#notify(publication, 'post.publish.inbox_delivered')
    } else this.post(publication, publication.privacy_level ?? 'SELF_ONLY')
  }

  #wakeAt(time: number): void {
    clearTimeout(this.#timer)
    if (time === Number.POSITIVE_INFINITY || this.#closing.aborted) return
    this.#timer = setTimeout(() => this.settle(), Math.min(time - this.#clock.now(), longestWaitMs)).unref()
  }

  #isOfLastDay({ created_at }: Publication): boolean {
    return created_at > this.#clock.now() - dayMs
  }

  #notify({ publish_id, open_id, mode }: Publication, event: string, more: Record<string, string> = {}): void {
    const publish_type = mode === 'inbox' ? 'INBOX_SHARE' : 'DIRECT_PUBLISH'
    this.#webhooks.send({ event, user_openid: open_id, content: { publish_id, publish_type, ...more } })
  }
}

export function pullFailure({ media }: Publication): FailReason {
  return media === 'photo' ? 'photo_pull_failed' : 'video_pull_failed'
}

function awaitsModeration({ privacy_level, moderated }: Post): boolean {
  return privacy_level === 'PUBLIC_TO_EVERYONE' && !moderated
}
