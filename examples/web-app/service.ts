// The OAuth service as this app sees it: the few calls of its contract that a web app makes, and the one of the upload service.
// Failures are problem+json; `code` is what to branch on and `mended_by` says whose turn it is.

export interface Account {
  id: string
  owner_id: string
  label: string | null
  status: 'active' | 'reauthorization_required' | 'disconnected'
  status_reason: string | null
  profile: {
    username: string | null
    display_name: string | null
    avatar_url: string | null
    follower_count: number | null
    is_verified: boolean | null
  }
  account_type: { value: 'creator' | 'business'; source: 'self_attested'; attested_at: string }
  missing_scopes: string[]
  token: { generation: number; expires_at: string } | null
  health: {
    verdict: 'healthy' | 'expiring' | 'degraded' | 'reauthorization_required' | 'disconnected'
    reasons: { code: string; mended_by: string }[]
    reauthorize_by: string | null
  }
  upload_quota: { limit: number; used: number; reserved: number; remaining: number; next_slot_at: string | null }
  connected_at: string
  disconnected_at: string | null
}

export interface ConnectWish {
  owner_id: string
  return_url: string
  tier: string
  account_type?: string
  age_confirmed?: boolean
  label?: string
  reconnect_account_id?: string
}

export interface AccessToken {
  access_token: string
  expires_at: string
  generation: number
  scopes: string[]
  degraded?: true
}

/** The service said no, or nothing. */
export class ServiceProblem extends Error {
  readonly code: string
  constructor(code: string, detail: string, options?: ErrorOptions) {
    super(detail, options)
    this.name = 'ServiceProblem'
    this.code = code
  }
}

/**
 * @param webAppKey scopes connect:write, accounts:read, accounts:write and, for the plan that it states, owners:write; it cannot read tokens
 * @param uploadKey scope tokens:read; a real web app has no such key, the upload service does
 */
export function openService({ url, webAppKey, uploadKey }: { url: string; webAppKey: string; uploadKey: string }) {
  async function call<T>(method: string, path: string, body?: unknown, key = webAppKey): Promise<T> {
    const answer = await send(method, path, { key, body })
    const value = (await answer.json()) as T & { code?: string; detail?: string }
    if (!answer.ok) throw new ServiceProblem(value.code ?? 'internal_error', value.detail ?? `It answered ${answer.status}.`)
    return value
  }

  async function send(
    method: string,
    path: string,
    { key, body, headers }: { key: string; body?: unknown; headers?: Record<string, string> },
  ): Promise<Response> {
    try {
      return await fetch(new URL(path, url), {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        // Longer than the service's own longest answer, a completion with a slow TikTok.
        signal: AbortSignal.timeout(30_000),
      })
    } catch (cause) {
      throw new ServiceProblem('service_unreachable', 'The OAuth service does not answer.', { cause })
    }
  }

  return {
    openConnectSession: (wish: ConnectWish) =>
      call<{ id: string; authorize_url: string; connect_url: string }>('POST', '/connect-sessions', wish),

    complete: (sessionId: string, ownerId: string, confirm: string) =>
      call<Account>('POST', `/connect-sessions/${encodeURIComponent(sessionId)}/complete`, { owner_id: ownerId, confirm }),

    async accountsOf(ownerId: string): Promise<Account[]> {
      const accounts: Account[] = []
      let cursor: string | null = null
      do {
        const query = new URLSearchParams({ owner_id: ownerId, limit: '200', ...(cursor === null ? {} : { cursor }) })
        const page: { accounts: Account[]; next_cursor: string | null } = await call('GET', `/accounts?${query}`)
        accounts.push(...page.accounts)
        cursor = page.next_cursor
      } while (cursor !== null)
      return accounts
    },

    account: (id: string) => call<Account>('GET', `/accounts/${encodeURIComponent(id)}`),
    label: (id: string, label: string | null) => call<Account>('PATCH', `/accounts/${encodeURIComponent(id)}`, { label }),
    verify: (id: string) => call<Account>('POST', `/accounts/${encodeURIComponent(id)}/verify`),
    disconnect: (id: string) =>
      call<{ revocation: 'confirmed' | 'already_gone' | 'pending' }>('DELETE', `/accounts/${encodeURIComponent(id)}`),

    /** The picture as the service answers it, 304 and 404 included. */
    avatar: (id: string, etag: string | undefined) =>
      send('GET', `/accounts/${encodeURIComponent(id)}/avatar`, {
        key: webAppKey,
        ...(etag === undefined ? {} : { headers: { 'if-none-match': etag } }),
      }),

    /** What the upload service does before an upload. */
    tokenAsUploadService: (id: string) =>
      call<AccessToken>('GET', `/accounts/${encodeURIComponent(id)}/token`, undefined, uploadKey),
  }
}
