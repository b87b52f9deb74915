/** An account at the simulated TikTok, and what may be said about it from outside. */
import { hash } from 'node:crypto'
import { z } from 'zod'

/** What a creator's settings at TikTok allow apps that post. */
export const Creator = z.strictObject({
  /** Only followers see what a private account posts. */
  is_private: z.boolean(),
  comment_disabled: z.boolean(),
  duet_disabled: z.boolean(),
  stitch_disabled: z.boolean(),
  max_video_post_duration_sec: z.number().int().min(1),
  banned_from_posting: z.boolean(),
})
export type Creator = z.infer<typeof Creator>

export interface Person {
  readonly id: string
  /** The same in all apps of one developer; the open_id is another in each. */
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
  creator: Creator
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
  creator: Creator.partial().optional(),
})
export type PersonChange = z.infer<typeof PersonChange>

export const NewPerson = PersonChange.extend({ id: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/) })
export type NewPerson = z.infer<typeof NewPerson>

/** Made from app and person alone, so that a test meets the same one in every run. */
export function openIdOf(clientKey: string, personId: string): string {
  return uuidFrom(`open_id:${clientKey}:${personId}`)
}

export function unionIdOf(personId: string): string {
  return uuidFrom(`union_id:${personId}`)
}

function uuidFrom(text: string): string {
  const hex = hash('sha256', text)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
