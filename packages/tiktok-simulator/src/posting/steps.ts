/** `POST /_sim/publications/ID`: what TikTok, or the person with the app in their hand, does next. */
import { z } from 'zod'
import type { World } from '../world.ts'
import { failReasons, isUnderway, type Publication, privacyLevels } from './publication.ts'

export const PublicationStep = z.discriminatedUnion('step', [
  z.strictObject({ step: z.literal('advance').describe('Whatever comes next, without waiting for it') }),
  z.strictObject({
    step: z.literal('fail').describe('TikTok gives up'),
    reason: z.enum(failReasons).default('internal').describe('As status/fetch will say it'),
  }),
  z.strictObject({
    step: z.literal('post').describe('The person posts the draft from their inbox, again if they like'),
    privacy_level: z.enum(privacyLevels).optional().describe('Who may see it; unless said, what they usually choose'),
    title: z.string().optional().describe("Their own, instead of the app's"),
  }),
  z.strictObject({
    step: z.enum(['show', 'hide']).describe('Posts are seen by everyone, or not any more'),
    post_id: z.string().optional().describe('This one; all of them unless said'),
  }),
])
export type PublicationStep = z.infer<typeof PublicationStep>

/** @returns false when the publication is not where this can happen */
export function takeStep({ publications }: World, publication: Publication, taken: PublicationStep): boolean {
  switch (taken.step) {
    case 'advance':
      return publications.advance(publication)
    case 'fail':
      if (!isUnderway(publication)) return false
      publications.fail(publication, taken.reason)
      return true
    case 'post': {
      if (publication.mode !== 'inbox' || isUnderway(publication) || publication.status === 'FAILED') return false
      publications.post(publication, taken.privacy_level ?? publications.usualPrivacy(publication), taken.title)
      return true
    }
    default: {
      const posts = publication.posts.filter(({ post_id }) => taken.post_id === undefined || post_id === taken.post_id)
      for (const post of posts) publications.show(publication, post, taken.step === 'show')
      return posts.length > 0
    }
  }
}
