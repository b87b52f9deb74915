/** What every route of posting and of videos asks first: a living token, its scope, and not too often. */
import { type Grant, openScopes } from '../grants.ts'
import type { Scope } from '../settings.ts'
import { type Answer, apiFailure, bearerOf, type Request } from '../wire.ts'
import type { World } from '../world.ts'

/** Ends a call from anywhere inside of it, in the words of the API. */
export class Refusal extends Error {
  readonly code: string
  readonly status: number | undefined

  constructor(code: string, message: string, status?: number) {
    super(message)
    this.code = code
    this.status = status
  }
}

/** @returns the answer of `process`, or its refusal; and counts which of the two it was */
export function answering(
  { settings, stats }: World,
  counter: 'uploads' | 'statuses' | 'creator_infos' | 'videos',
  process: () => Answer,
): Answer {
  try {
    const answer = process()
    stats.count(counter)
    return answer
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    stats.count(`${counter}_refused`)
    return apiFailure(settings, error.code, error.message, error.status)
  }
}

/** @throws Refusal: access_token_invalid, scope_not_authorized, rate_limit_exceeded */
export function admit(world: World, request: Request, scopes: readonly Scope[], what: string, perMinute: number | null): Grant {
  const token = bearerOf(request)
  const grant = world.grants.byAccessToken(token)
  if (!grant) throw new Refusal('access_token_invalid', 'The access token is invalid or not found in the request.')
  if (scopes.length > 0) demandScope(world, grant, scopes)
  if (world.rates.exceeded(`${what} ${token}`, perMinute))
    throw new Refusal('rate_limit_exceeded', 'The API rate limit was exceeded. Please try again later.')
  return grant
}

/** @throws Refusal scope_not_authorized when the grant has none of them */
export function demandScope({ settings }: World, grant: Grant, scopes: readonly Scope[]): void {
  const open = openScopes(settings, grant)
  if (!scopes.some((scope) => open.includes(scope)))
    throw new Refusal('scope_not_authorized', 'The user did not authorize the scope required for completing this request.')
}

/** @throws Refusal invalid_params for what is no JSON object */
export function readObject({ headers, body }: Request): Record<string, unknown> {
  const refusal = new Refusal('invalid_params', 'The request body is not JSON, or not sent as application/json.')
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) throw refusal
  try {
    const value: unknown = JSON.parse(body.toString())
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {}
  throw refusal
}
