/**
 * The token endpoint. Strict about form encoding, since TikTok is; a failure is a flat object and usually an HTTP 200.
 */
import { challengeMatches } from './codes.ts'
import type { Call } from './faults.ts'
import type { TokenSet } from './grants.ts'
import { newClientToken } from './opaque.ts'
import { type Answer, json, oauthFailure, type Request } from './wire.ts'
import type { World } from './world.ts'

export function tokenCall(world: World, request: Request): Call {
  const form = readForm(request)
  if (!form?.get('grant_type')) {
    return { shape: 'oauth', routes: ['token'], subject: {}, process: () => malformed(world) }
  }
  if (form.get('grant_type') === 'refresh_token') {
    const refreshToken = form.get('refresh_token') ?? ''
    return {
      shape: 'oauth',
      routes: ['token', 'refresh'],
      subject: { person: world.grants.refreshTokenRecord(refreshToken)?.grant.person, refreshToken },
      process: () => refuseClient(world, form) ?? refresh(world, refreshToken),
    }
  }
  if (form.get('grant_type') === 'authorization_code') {
    return {
      shape: 'oauth',
      routes: ['token', 'exchange'],
      subject: { person: world.codes.personOf(form.get('code') ?? '') },
      process: () => refuseClient(world, form) ?? exchange(world, form),
    }
  }
  const process = () => refuseClient(world, form) ?? otherGrant(world, form)
  return { shape: 'oauth', routes: ['token'], subject: {}, process }
}

/**
 * @returns undefined unless the body is a plain form with no parameter given twice. A JSON body, HTTP Basic
 *   credentials and even a charset after the content type have been seen to fail at TikTok.
 */
export function readForm(request: Request): URLSearchParams | undefined {
  const { 'content-type': contentType, authorization } = request.headers
  if (request.method !== 'POST' || contentType !== 'application/x-www-form-urlencoded') return undefined
  if (authorization !== undefined) return undefined
  const form = new URLSearchParams(request.body.toString())
  return new Set(form.keys()).size === form.size ? form : undefined
}

export function malformed({ settings }: World): Answer {
  return oauthFailure(settings, 'invalid_request', 'The request parameters are malformed.')
}

/** @returns the refusal, or undefined for the right key and secret */
export function refuseClient({ settings }: World, form: URLSearchParams): Answer | undefined {
  if (!form.get('client_key') || !form.get('client_secret')) {
    return oauthFailure(settings, 'invalid_request', 'The client_key or client_secret is missing.')
  }
  const right = form.get('client_key') === settings.client_key && form.get('client_secret') === settings.client_secret
  return right ? undefined : oauthFailure(settings, 'invalid_client', 'Client key or secret is incorrect.')
}

function exchange(world: World, form: URLSearchParams): Answer {
  const authorization = world.codes.spend(form.get('code') ?? '')
  const refuse = (error: string, description: string) => {
    world.stats.count('exchange_refused')
    return oauthFailure(world.settings, error, description)
  }
  if (!form.get('code')) return refuse('invalid_request', 'The code is missing.')
  if (!authorization) return refuse('invalid_grant', 'Authorization code is expired.')
  if (form.get('redirect_uri') !== authorization.redirectUri) {
    return refuse('invalid_request', 'Redirect_uri is not matched with the uri when requesting code.')
  }
  const { codeChallenge, person, scopes, asked } = authorization
  if (codeChallenge !== undefined) {
    if (!challengeMatches(world.settings.pkce, codeChallenge, form.get('code_verifier') ?? '')) {
      return refuse('invalid_request', 'Code verifier or code challenge is invalid.')
    }
  }
  world.stats.count('exchanges')
  return tokenAnswer(world.grants.issue(person, scopes, { asked }))
}

function refresh(world: World, refreshToken: string): Answer {
  if (refreshToken === '') return oauthFailure(world.settings, 'invalid_request', 'The refresh_token is missing.')
  const tokenSet = world.grants.refresh(refreshToken)
  if (!tokenSet) return oauthFailure(world.settings, 'invalid_grant', 'Refresh token is invalid or expired.')
  return tokenAnswer(tokenSet)
}

/** A token for the app itself opens nothing here; it serves as a probe of key and secret. */
function otherGrant(world: World, form: URLSearchParams): Answer {
  if (form.get('grant_type') !== 'client_credentials') {
    return oauthFailure(world.settings, 'unsupported_grant_type', 'The grant type is not supported.')
  }
  world.stats.count('client_tokens')
  return json(200, { access_token: newClientToken(), expires_in: 7200, token_type: 'Bearer' })
}

function tokenAnswer(tokenSet: TokenSet): Answer {
  return json(200, tokenSet)
}
