/**
 * The authorization request, checked as TikTok checks it. A wrong one ends on TikTok's own error page, and the app never
 * hears of it.
 */
import type { World } from './world.ts'

export interface AuthorizationRequest {
  readonly redirectUri: string
  /** Comes back only if it was sent. */
  readonly state: string | undefined
  readonly scopes: readonly string[]
  readonly codeChallenge: string | undefined
  readonly disableAutoAuth: boolean
}

/** What TikTok's error page says: the parameter to correct, and a number where one has been seen. */
export interface ParameterError {
  readonly errorType: string
  readonly errCode: number | undefined
  /** The app hears of it after all. */
  readonly callback?: { readonly redirectUri: string; readonly state: string | undefined }
}

export function checkAuthorizationRequest(world: World, query: URLSearchParams): AuthorizationRequest | ParameterError {
  const { settings } = world
  const only = (name: string) => (query.getAll(name).length === 1 ? (query.get(name) ?? '') : '')
  const wrong = (errorType: string, errCode?: number): ParameterError => ({ errorType, errCode })

  if (only('client_key') !== settings.client_key) return wrong('client_key', 10003)
  if (only('response_type') !== 'code') return wrong('response_type')
  const redirectUri = only('redirect_uri')
  if (!redirectUriAllowed(settings.redirect_uris, redirectUri)) return wrong('redirect_uri', 10006)
  const state = only('state') || undefined
  const scopes = [...new Set(only('scope').split(','))]
  const enabled: readonly string[] = settings.app_scopes
  if (!scopes.every((scope) => enabled.includes(scope))) {
    const callback = { redirectUri, state }
    return { ...wrong('scope', 10004), ...(settings.scope_refusal === 'callback' && { callback }) }
  }
  if (query.getAll('state').length > 1 || (state === undefined && settings.require_state)) return wrong('state')

  const codeChallenge = query.has('code_challenge') ? only('code_challenge') : undefined
  if (codeChallenge === '' || (codeChallenge === undefined && settings.pkce !== 'off')) return wrong('code_challenge', 10007)
  const challengeMethod = query.get('code_challenge_method')
  if ((codeChallenge !== undefined || challengeMethod !== null) && challengeMethod !== 'S256') {
    return wrong('code_challenge_method', 10008)
  }
  return { redirectUri, state, scopes, codeChallenge, disableAutoAuth: query.get('disable_auto_auth') === '1' }
}

/** Registered URIs are compared byte by byte; without a list anything goes that could have been registered, http included. */
function redirectUriAllowed(registered: readonly string[] | null, redirectUri: string): boolean {
  if (registered) return registered.includes(redirectUri)
  const url = URL.canParse(redirectUri) ? new URL(redirectUri) : undefined
  return (url?.protocol === 'https:' || url?.protocol === 'http:') && redirectUri.length < 512 && !/[?#]/.test(redirectUri)
}
