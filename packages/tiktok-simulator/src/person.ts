/** An account at the simulated TikTok, and what may be said about it from outside. */
import { hash } from 'node:crypto'
import { z } from 'zod'

/** What a creator's settings at TikTok allow apps that post. */
export const Creator = z.strictObject({
  is_private: z.boolean().describe('Only followers see what a private account posts'),
  comment_disabled: z.boolean().describe('In their settings'),
  duet_disabled: z.boolean().describe('In their settings'),
  stitch_disabled: z.boolean().describe('In their settings'),
  max_video_post_duration_sec: z.number().int().min(1).describe('The longest video they may post'),
  banned_from_posting: z.boolean().describe('By TikTok'),
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
  display_name: z.string().optional().describe('As TikTok shows it'),
  username: z.string().optional().describe('Without the @'),
  bio: z.string().optional().describe('May have line breaks'),
  is_verified: z.boolean().optional().describe('The badge'),
  follower_count: z.number().int().min(0).optional().describe('How many follow them'),
  following_count: z.number().int().min(0).optional().describe('How many they follow'),
  likes_count: z.number().int().min(0).optional().describe('Over all videos'),
  video_count: z.number().int().min(0).optional().describe('Public ones'),
  creator: Creator.partial().optional().describe('What creator_info/query says of them, and whether they may post'),
})
export type PersonChange = z.infer<typeof PersonChange>

export const NewPerson = PersonChange.extend({
  id: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/)
    .describe('Chosen by the test; the open_id is made from it'),
})
export type NewPerson = z.infer<typeof NewPerson>

/** Made from app and person alone, so that a test meets the same one in every run. */
export function openIdOf(clientKey: string, personId: string): string {
  return uuidFrom(`open_id:${clientKey}:${personId}`)
}

/** Whose the app is that the simulator starts with. */
export const defaultDeveloper = 'default'

export function unionIdOf(developer: string, personId: string): string {
  return uuidFrom(developer === defaultDeveloper ? `union_id:${personId}` : `union_id:${developer}:${personId}`)
}

function uuidFrom(text: string): string {
  const hex = hash('sha256', text)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
