/** TikTok as the probe calls it: what was answered, whatever it is. Secrets go out and nothing of them is ever printed. */
import { createHash, randomBytes } from 'node:crypto'

export interface App {
  readonly clientKey: string
  readonly clientSecret: string
  readonly redirectUri: string
  readonly scopes: string
  /** TikTok's own hosts, or a simulator. */
  readonly authUrl: string
  readonly apiUrl: string
}

export interface Heard {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export type Challenge = 'off' | 's256' | 's256-hex'

/** An authorization request, with what the exchange will need of it. */
export interface Asked {
  readonly address: string
  readonly verifier: string | undefined
}

export class TikTok {
  readonly #app: App

  constructor(app: App) {
    this.#app = app
  }

  /** @param state left out where the probe asks whether that passes */
  authorizeUrl(challenge: Challenge, state: string | undefined): Asked {
    const { clientKey, redirectUri, scopes, authUrl } = this.#app
    const query = new URLSearchParams({ client_key: clientKey, response_type: 'code', scope: scopes, redirect_uri: redirectUri })
    if (state !== undefined) query.set('state', state)
    const verifier = challenge === 'off' ? undefined : randomBytes(32).toString('base64url')
    if (verifier !== undefined) {
      const encoding = challenge === 's256-hex' ? 'hex' : 'base64url'
      query.set('code_challenge', createHash('sha256').update(verifier).digest(encoding))
      query.set('code_challenge_method', 'S256')
    }
    return { address: `${authUrl}/v2/auth/authorize/?${query}`, verifier }
  }

  exchange(code: string, verifier?: string): Promise<Heard> {
    const { redirectUri } = this.#app
    const proof = verifier === undefined ? {} : { code_verifier: verifier }
    return this.#post('token', { grant_type: 'authorization_code', code, redirect_uri: redirectUri, ...proof })
  }

  refresh(refreshToken: string): Promise<Heard> {
    return this.#post('token', { grant_type: 'refresh_token', refresh_token: refreshToken })
  }

  revoke(accessToken: string): Promise<Heard> {
    return this.#post('revoke', { token: accessToken })
  }

  userInfo(accessToken: string): Promise<Heard> {
    const headers = { authorization: `Bearer ${accessToken}` }
    return heard(fetch(`${this.#app.apiUrl}/v2/user/info/?fields=open_id`, { headers, signal: patience() }))
  }

  #post(route: 'token' | 'revoke', fields: Record<string, string>): Promise<Heard> {
    const { clientKey, clientSecret, apiUrl } = this.#app
    const body = new URLSearchParams({ client_key: clientKey, client_secret: clientSecret, ...fields }).toString()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return heard(fetch(`${apiUrl}/v2/oauth/${route}/`, { method: 'POST', headers, body, signal: patience() }))
  }
}

/** The flat failures of the token endpoint, and the envelope of the rest. `ok` is none. */
export function errorOf({ body }: Heard): string | undefined {
  const { error } = body
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : error
  return typeof code === 'string' && code !== '' && code !== 'ok' ? code : undefined
}

const patience = () => AbortSignal.timeout(60_000)

async function heard(answer: Promise<Response>): Promise<Heard> {
  const response = await answer.catch((cause: Error) => {
    const reason = cause.cause instanceof Error ? cause.cause.message : cause.message
    throw new Error(`TikTok could not be reached: ${reason}`, { cause })
  })
  const text = await response.text()
  try {
    const body: unknown = JSON.parse(text)
    return { status: response.status, body: typeof body === 'object' && body !== null ? { ...body } : {} }
  } catch {
    return { status: response.status, body: {} }
  }
}
