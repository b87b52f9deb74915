/** Revocation, by the app or by the person: either way every grant of that person to this app ends. */
import type { Call } from './faults.ts'
import type { Person } from './person.ts'
import { malformed, readForm, refuseClient } from './token.ts'
import { type Answer, json, oauthFailure, type Request } from './wire.ts'
import type { World } from './world.ts'

/** Why an authorization ended, in TikTok's numbers. */
export const removalReasons = {
  0: 'unknown',
  1: 'the person disconnected the app',
  2: 'the account was deleted',
  3: "the person's age changed",
  4: 'the account was banned',
  5: 'the app revoked it',
} as const
export type RemovalReason = keyof typeof removalReasons

export function revokeCall(world: World, request: Request): Call {
  const form = readForm(request)
  const accessToken = form?.get('token') ?? undefined
  return {
    shape: 'oauth',
    routes: ['revoke'],
    subject: { person: world.grants.byAccessToken(accessToken)?.person },
    process: () => (form ? (refuseClient(world, form) ?? revoke(world, accessToken)) : malformed(world)),
  }
}

/**
 * Ends all grants and tells the app by webhook. By the time the notice arrives the tokens are dead already.
 *
 * @param notify false: the notice is lost on its way
 * @returns how many grants ended
 */
export function removeApp(world: World, person: Person, reason: RemovalReason, notify = true): number {
  const removed = world.grants.removeApp(person)
  world.publications.authRemoved(person)
  if (removed > 0 && notify)
    world.webhooks.send({ event: 'authorization.removed', user_openid: world.people.openIdOf(person), content: { reason } })
  return removed
}

function revoke(world: World, accessToken: string | undefined): Answer {
  if (!accessToken) return refuse(world, 'invalid_request', 'The token is missing.')
  const grant = world.grants.byAccessToken(accessToken)
  const { revoke_dead_token: ifDead } = world.settings
  if (!grant) return ifDead === 'ok' ? json(200, {}) : refuse(world, ifDead, 'The token is invalid or expired.')
  world.stats.count('revocations')
  removeApp(world, grant.person, 5)
  return json(200, {})
}

function refuse(world: World, error: string, description: string): Answer {
  world.stats.count('revocations_refused')
  return oauthFailure(world.settings, error, description)
}
