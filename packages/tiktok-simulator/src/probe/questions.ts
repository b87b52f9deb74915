/**
 * What TikTok's documentation leaves open, asked of TikTok itself with a client key and a person at the browser. The answers are settings of
 * the simulator and variables of the service; what is neither is a note.
 */
import type { Lifetimes, Settings } from '../settings.ts'
import type { Notices } from './notices.ts'
import { type App, type Asked, type Challenge, errorOf, type Heard, TikTok } from './tiktok.ts'

export interface Means {
  /** Has the person open the address. @returns where the browser ended, or what TikTok's page says */
  open(address: string, why: string): Promise<string>
  wait(seconds: number): Promise<void>
  /** Milliseconds since 1970, by the clock that `wait` follows. */
  now(): number
  say(line: string): void
  /** Where TikTok's notices arrive, if they can. */
  notices: Notices | undefined
  /** After how many seconds a code is tried, one each. */
  codeSeconds: readonly number[]
}

export interface Findings {
  readonly settings: Partial<Settings>
  readonly variables: Readonly<Record<string, string>>
  readonly notes: readonly string[]
}

interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
  readonly refresh_expires_in: number
  readonly scope: string
}

/** @throws Error when TikTok refuses what has to work before anything can be asked */
export async function ask(app: App, means: Means): Promise<Findings> {
  const tiktok = new TikTok(app)
  const settings: Partial<Settings> = {}
  const notes: string[] = []

  means.say('How failures are told, and whether key and secret fit.')
  Object.assign(settings, { errors_in_200: await failuresIn200(tiktok, notes) })

  const way = new Consent(tiktok, means)
  const first = await way.tokens()
  Object.assign(settings, { require_state: way.stateRequired, pkce: way.challenge, lifetimes: lifetimesOf(first) })

  means.say('What a refresh leaves of the tokens before it.')
  const { last, ...left } = await afterRefresh(tiktok, first, notes, means)
  Object.assign(settings, left)

  const { code_seconds, granted } = await lifeOfCodes(tiktok, way, means, notes)
  if (code_seconds !== undefined) Object.assign(settings, { code_seconds })
  if (granted) {
    const still = errorOf(await tiktok.refresh(last.refresh_token)) === undefined
    notes.push(`A second consent of the same person ${still ? 'leaves the first grant alone' : 'ends the first grant'}.`)
  }

  means.say('What revoking leaves, and how a dead token is answered.')
  const final = await way.tokens()
  means.notices?.clear()
  const revoked = await tiktok.revoke(final.access_token)
  if (errorOf(revoked) !== undefined) throw new Error(`TikTok does not revoke a token that it has just issued: ${told(revoked)}`)
  const again = errorOf(await tiktok.revoke(final.access_token)) ?? 'ok'
  if (again === 'ok' || again === 'invalid_grant' || again === 'invalid_request') settings.revoke_dead_token = again
  else notes.push(`A dead token is revoked with ${again}, for which the simulator has no setting.`)
  if (means.notices) Object.assign(settings, await repeatedNotices(means.notices, notes))
  else notes.push('Notices were not looked at: give --webhook-port, with the address at TikTok leading there.')

  return { settings, variables: { TIKTOK_PKCE: way.challenge, TIKTOK_SCOPES: final.scope }, notes }
}

async function failuresIn200(tiktok: TikTok, notes: string[]): Promise<Settings['errors_in_200']> {
  const oauth = await tiktok.exchange('a-code-that-was-never-issued')
  if (errorOf(oauth) === 'invalid_client') throw new Error('TikTok does not know this client key, or not with this secret.')
  const api = await tiktok.userInfo('act.never-issued')
  notes.push(`An unknown code is ${told(oauth)}, an unknown access token ${told(api)}.`)
  if (oauth.status !== 200) return 'none'
  return api.status === 200 ? 'all' : 'oauth'
}

/** Consent, as often as a question needs it, in the way that this app has to ask. */
class Consent {
  readonly #tiktok: TikTok
  readonly #means: Means
  stateRequired = false
  challenge: Challenge = 'off'
  #count = 0

  constructor(tiktok: TikTok, means: Means) {
    this.#tiktok = tiktok
    this.#means = means
  }

  /** Starts with as little as possible, and adds what TikTok's page asks for. */
  async code(why: string): Promise<{ code: string; asked: Asked }> {
    this.#count += 1
    const state = this.stateRequired ? `probe-${this.#count}` : undefined
    const asked = this.#tiktok.authorizeUrl(this.challenge, state)
    const came = await this.#means.open(asked.address, why)
    const query = URL.canParse(came) ? new URL(came).searchParams : new URLSearchParams()
    const code = query.get('code')
    if (code !== null) return { code, asked }
    if (/code_challenge|10007/.test(came) && this.challenge === 'off') {
      this.challenge = 's256'
      return this.code('the app has to send a code challenge; once more with one')
    }
    if (/\bstate\b/.test(came.replace(/[?&]state=/, '')) && !this.stateRequired) {
      this.stateRequired = true
      return this.code('a state is required; once more with one')
    }
    throw new Error(`There is no code in it, and nothing the probe could change: ${came.slice(0, 200)}`)
  }

  async tokens(): Promise<Tokens> {
    const { code, asked } = await this.code('a first consent, or another')
    const heard = await this.#tiktok.exchange(code, asked.verifier)
    const { error_description = '' } = heard.body
    if (errorOf(heard) !== undefined && /verifier|challenge/i.test(String(error_description)) && this.challenge === 's256') {
      this.challenge = 's256-hex'
      return this.tokens()
    }
    return tokensIn(heard)
  }
}

async function afterRefresh(tiktok: TikTok, first: Tokens, notes: string[], { wait }: Means) {
  const second = tokensIn(await tiktok.refresh(first.refresh_token))
  const lives = errorOf(await tiktok.userInfo(first.access_token)) === undefined
  const old_access_token: Settings['old_access_token'] = lives ? 'lives' : 'dies'
  if (second.refresh_token === first.refresh_token) {
    return { rotation: 'none' satisfies Settings['rotation'], old_access_token, last: second }
  }

  const replayed = await tiktok.refresh(first.refresh_token)
  const rotation: Settings['rotation'] = errorOf(replayed) === undefined ? 'overlap' : 'strict'
  if (rotation === 'overlap') {
    await wait(60)
    const later = errorOf(await tiktok.refresh(first.refresh_token)) === undefined
    notes.push(
      `A minute after it was replaced, a refresh token ${later ? 'still works' : 'has died: there is a grace, and it is short'}.`,
    )
  }
  const next = await tiktok.refresh(second.refresh_token)
  if (errorOf(next) === undefined) return { rotation, old_access_token, last: tokensIn(next) }
  notes.push('A replaced refresh token that comes again ends the whole grant. The simulator has no setting for that.')
  return { rotation, old_access_token, last: second }
}

/** Codes are got first and tried one after the other, so that all of it takes as long as the longest. */
async function lifeOfCodes(tiktok: TikTok, way: Consent, means: Means, notes: string[]) {
  const { codeSeconds, now, wait, say } = means
  const codes: { code: string; asked: Asked; at: number; seconds: number }[] = []
  for (const seconds of [...codeSeconds].sort((one, other) => one - other)) {
    const got = await way.code(`a code to be kept for ${seconds} s`)
    codes.push({ ...got, at: now(), seconds })
  }
  let lived = 0
  let granted = false
  for (const { code, asked, at, seconds } of codes) {
    say(`Waiting until a code is ${seconds} s old.`)
    await wait(Math.max(0, at / 1000 + seconds - now() / 1000))
    if (errorOf(await tiktok.exchange(code, asked.verifier)) !== undefined) {
      notes.push(`A code lives for more than ${lived} s and not for ${seconds} s.`)
      return { code_seconds: seconds, granted }
    }
    granted = true
    lived = seconds
  }
  if (lived > 0) notes.push(`A code lives for more than ${lived} s.`)
  return { code_seconds: undefined, granted }
}

async function repeatedNotices(notices: Notices, notes: string[]): Promise<Pick<Partial<Settings>, 'resign_retries'>> {
  const [first, last] = await notices.repeated('authorization.removed')
  if (!first || !last) {
    notes.push('No notice of the removal came twice in time; try with more --webhook-minutes, or look at the address at TikTok.')
    return {}
  }
  notes.push(`A notice that was answered with 500 came again after ${Math.round((last.at - first.at) / 1000)} s.`)
  if (!first.genuine) notes.push('Its signature is not made with this client secret, or not as documented.')
  return { resign_retries: first.t !== last.t }
}

function tokensIn(heard: Heard): Tokens {
  const { access_token, refresh_token, expires_in, refresh_expires_in, scope } = heard.body
  if (typeof access_token !== 'string' || typeof refresh_token !== 'string')
    throw new Error(`TikTok gives no tokens: ${told(heard)}`)
  return {
    access_token,
    refresh_token,
    expires_in: Number(expires_in),
    refresh_expires_in: Number(refresh_expires_in),
    scope: String(scope),
  }
}

/** As TikTok's pages write them: hours for a day, days from two on. */
function lifetimesOf({ expires_in, refresh_expires_in }: Tokens): Lifetimes {
  const span = (seconds: number) => {
    const [size, unit] = (
      [
        [86_400, 'd'],
        [3600, 'h'],
        [60, 'm'],
        [1, 's'],
      ] as const
    ).find(([size, unit]) => seconds % size === 0 && (unit !== 'd' || seconds > 86_400)) ?? [1, 's' as const]
    return `${seconds / size}${unit}` as const
  }
  return `${span(expires_in)}/${span(refresh_expires_in)}`
}

function told(heard: Heard): string {
  return `answered with ${heard.status} and ${errorOf(heard) ?? 'no error'}`
}
