// What the configuration says: everything that stops a start, and what starts and is still not meant.
import { isLoopback } from '../outbound/public-address.ts'
import type { Config } from '../settings/config.ts'
import { secretVariables, variables } from '../settings/variables.ts'
import { type Finding, fault, type Observation, type Patient, variablesWord, warning } from './finding.ts'

const secrets: ReadonlySet<string> = new Set([...secretVariables, 'VAULT_KEYS'])
/** The service takes the ends off these by itself. */
const trimmed: ReadonlySet<string> = new Set(['DATABASE_URL', 'DATABASE_DIRECT_URL', 'VAULT_KEYS'])
const ofOurs = /^(TIKTOK|DATABASE|VAULT|JWT|TIER|JOURNAL|METRICS|EVENT|ALLOWED|AUDIT)_/

/** @param problems sentences about what stops the start, each beginning with its variable */
export async function readConfiguration(patient: Patient, problems: readonly string[]): Promise<Observation> {
  const { env } = patient
  const findings = [
    ...problems.map(ofProblem),
    ...Object.keys(env).flatMap((name) => [...quoted(name, env[name]), ...spaced(name, env[name]), ...misspelt(name)]),
    ...tiktokApp(patient),
    ...mixedUp(patient),
    ...(takesAny(patient) ? [] : ofRedirectUri(patient.config)),
    ...forgotten(patient),
  ]
  const set = Object.keys(env).filter((name) => name in variables.shape && env[name] !== '').length
  return { findings, seen: `${set} variables are set` }
}

function ofProblem(sentence: string): Finding {
  const name = /^[A-Z][A-Z_]+/.exec(sentence)?.[0] ?? ''
  const meaning = name in variables.shape ? variables.shape[name as keyof typeof variables.shape].description : undefined
  const [what = sentence, ...remedy] = sentence.split(': ')
  return fault(
    what.endsWith('.') ? what : `${what}.`,
    name === 'PUBLIC_URL'
      ? 'The service does not start with it, and TikTok takes no redirect URI that is not https.'
      : 'The service does not start with it.',
    [
      remedy.length > 0 ? `${capital(remedy.join(': '))}.` : `Correct ${name || 'it'} ${variablesWord}.`,
      ...(meaning ? [`${name}: ${meaning}.`] : []),
    ].join(' '),
  )
}

/** Docker's --env-file, systemd's Environment and a Kubernetes secret keep quotes that a shell would take off. */
function quoted(name: string, value = ''): Finding[] {
  if (!(name in variables.shape) || name === 'VAULT_KEYS_COMMAND' || !/^\s*(["'`])[\s\S]*\1\s*$/.test(value)) return []
  return [
    fault(
      `${name} has quotes in its value.`,
      'They count as part of it: whoever read the file that it comes from, such as `docker run --env-file`, does not take them off.',
      `Write ${name}=VALUE without quotes there.`,
    ),
  ]
}

/** Nobody sees these, and everybody who compares does. */
function spaced(name: string, value = ''): Finding[] {
  if (!(name in variables.shape) || name.endsWith('_FILE')) return []
  const inside = secrets.has(name) ? /[\s\p{Cc}\p{Cf}]/u.test(value.trim()) && name !== 'EVENT_WEBHOOKS' : /\p{Cf}/u.test(value)
  const atEnds = value !== value.trim()
  if (!inside && !atEnds) return []
  const what = /[\r\n]\s*$/.test(value)
    ? `${name} ends with a line break.`
    : atEnds
      ? `${name} begins or ends with white space.`
      : `${name} has a character inside that nobody sees.`
  const remedy = `Set it anew without: \`printf %s\` writes a secret without the line break that \`echo\` adds. A file named by ${name}_FILE is read without it.`
  const make = trimmed.has(name) && !inside ? warning : secrets.has(name) || inside ? fault : warning
  return [make(what, 'It counts as part of the value, so a secret with it is a wrong one.', remedy)]
}

/** A name that begins like ours and is none: what it was to say is not said. */
function misspelt(name: string): Finding[] {
  if (!ofOurs.test(name) || name in variables.shape) return []
  const [nearest] = Object.keys(variables.shape)
    .map((known) => ({ known, steps: distance(name, known) }))
    .sort((a, b) => a.steps - b.steps)
  const meant = nearest && nearest.steps <= Math.max(2, name.length / 4) ? `: did you mean ${nearest.known}?` : '.'
  return [
    warning(
      `${name} is no variable of this service${meant}`,
      'What it says is read by nobody.',
      `Rename it, or take it away. .env.example has every variable.`,
    ),
  ]
}

/** What the app's credentials look like: TikTok's keys begin with aw, those of a sandbox with sb. */
function tiktokApp({ config, isBad }: Patient): Finding[] {
  const { clientKey, clientSecret, webhookSecrets, scopes } = config.tiktok
  const found: Finding[] = []
  if (!isBad('TIKTOK_CLIENT_KEY', 'TIKTOK_CLIENT_SECRET')) {
    if (!looksLikeKey(clientKey) && looksLikeKey(clientSecret))
      found.push(
        fault(
          'TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET look swapped.',
          'What stands in the secret begins like a client key. The client key goes to every browser, and now the secret would.',
          "Swap the two, and if a browser was sent to TikTok meanwhile, have a new secret made in TikTok's portal.",
        ),
      )
    if (clientKey === clientSecret)
      found.push(
        fault(
          'TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET are the same.',
          'TikTok never gives the same text for both.',
          "Copy each from its own field of the app's page in TikTok's portal.",
        ),
      )
    if (webhookSecrets.length === 2 && webhookSecrets[0] === webhookSecrets[1])
      found.push(
        warning(
          'TIKTOK_CLIENT_SECRET_PREVIOUS is the same as TIKTOK_CLIENT_SECRET.',
          'Notices that TikTok signed with the secret before are refused.',
          'Set it to the secret before this one, or take it away when the change is over.',
        ),
      )
  }
  const unknown = scopes.filter(
    (scope) =>
      !/^(user\.info\.(basic|profile|stats)|video\.(list|upload|publish))$|^(research|portability|artist|local|biz)\./.test(
        scope,
      ),
  )
  if (unknown.length > 0)
    found.push(
      warning(
        `TIKTOK_SCOPES has ${unknown.join(', ')}, which TikTok does not list.`,
        'One scope that the app has not makes TikTok refuse everything.',
        "Compare it with the names in TikTok's portal, letter for letter.",
      ),
    )
  return found
}

export const looksLikeKey = (text: string) => /^(sb)?aw[a-z0-9]{6,22}$/.test(text)
const isSandboxKey = (text: string) => /^sb/i.test(text)
/** A word in the host that says: not for everybody. */
const saysTrial = (host: string) =>
  /(^|[.-])(sandbox|staging|stage|test|testing|dev|develop|demo|preview|qa|uat|local)([.-]|\d|$)/i.test(host)

/** Parts of a trial among parts of the real thing. */
function mixedUp({ config, isBad }: Patient): Finding[] {
  const { clientKey, authBaseUrl, apiBaseUrl } = config.tiktok
  const { hostname } = new URL(config.publicUrl)
  const [authIsHere, apiIsHere] = [authBaseUrl, apiBaseUrl].map((url) => isLoopback(new URL(url).hostname))
  const isPublic = !isLoopback(hostname)
  const found: Finding[] = []
  if (!isBad('TIKTOK_AUTH_BASE_URL', 'TIKTOK_API_BASE_URL') && authIsHere !== apiIsHere)
    found.push(
      fault(
        `TIKTOK_AUTH_BASE_URL (${new URL(authBaseUrl).host}) and TIKTOK_API_BASE_URL (${new URL(apiBaseUrl).host}) lead to different TikToks.`,
        'A code that one of them gives is unknown to the other.',
        'Take both away for TikTok itself, or set both to the address of the simulator.',
      ),
    )
  if (isBad('PUBLIC_URL', 'TIKTOK_CLIENT_KEY')) return found
  if (isPublic && apiIsHere && authIsHere)
    found.push(
      (saysTrial(hostname) ? warning : fault)(
        `PUBLIC_URL is public (${hostname}), and TikTok is a simulator on this machine.`,
        'People cannot reach it, and no account that is connected is real.',
        'Take TIKTOK_AUTH_BASE_URL and TIKTOK_API_BASE_URL away.',
      ),
    )
  if (isPublic && isSandboxKey(clientKey))
    found.push(
      (saysTrial(hostname) || apiIsHere ? warning : fault)(
        `TIKTOK_CLIENT_KEY is that of a sandbox (it begins with sb), and PUBLIC_URL is ${hostname}.`,
        "Only the sandbox's ten target users can connect; everybody else ends on TikTok's error page.",
        "Set key and secret of the production app (TikTok's portal, the app, Production). A trial's host that says so, such as sandbox.example.com, makes this a warning.",
      ),
    )
  if (isPublic && !isSandboxKey(clientKey) && saysTrial(hostname) && !apiIsHere)
    found.push(
      warning(
        `PUBLIC_URL (${hostname}) says that this is a trial, and TIKTOK_CLIENT_KEY is that of the production app.`,
        "What is tried here counts against the production app's limits, and its redirect URIs have to hold this one.",
        'Set key and secret of a sandbox, or leave it if that is meant.',
      ),
    )
  return found
}

/** TikTok's own rules for the Web platform (docs/tiktok.md §1). */
export function ofRedirectUri({ redirectUri }: Pick<Config, 'redirectUri'>): Finding[] {
  const url = new URL(redirectUri)
  const why = "TikTok's portal does not take it, and sends nobody back to it."
  const found: Finding[] = []
  if (url.protocol !== 'https:')
    found.push(
      fault(
        `The redirect URI ${redirectUri} is not https.`,
        why,
        'Set PUBLIC_URL=https://YOUR-HOST, with a proxy or a tunnel in front that has a certificate.',
      ),
    )
  else if (isLoopback(url.hostname) || /^[\d.]+$|^\[/.test(url.hostname) || !url.hostname.includes('.'))
    found.push(
      fault(
        `The redirect URI's host ${url.hostname} is no public name.`,
        "TikTok wants the ownership of its domain shown, and people's browsers have to find it.",
        'Set PUBLIC_URL=https://YOUR-HOST with a name from the DNS.',
      ),
    )
  if (redirectUri.length >= 512)
    found.push(
      fault(
        `The redirect URI has ${redirectUri.length} characters.`,
        `Fewer than 512 are allowed. ${why}`,
        'Shorten PUBLIC_URL.',
      ),
    )
  return found
}

/** The simulator takes any, and an address that is not usable is told of already. */
const takesAny = ({ config, isBad }: Patient) =>
  isBad('PUBLIC_URL', 'TIKTOK_AUTH_BASE_URL') || isLoopback(new URL(config.tiktok.authBaseUrl).hostname)

/** Starts, and then disappoints. */
function forgotten({ config, isBad, env }: Patient): Finding[] {
  const found: Finding[] = []
  if (config.allowedReturnUrls.length === 0 && !isBad('ALLOWED_RETURN_URLS'))
    found.push(
      warning(
        'ALLOWED_RETURN_URLS is empty.',
        'Every connect session is refused with return_url_not_allowed.',
        'Set ALLOWED_RETURN_URLS=https://YOUR-APP/PATH, each place that people may be sent back to.',
      ),
    )
  if (config.publicUrl.startsWith('https:') && config.trustedProxies.length === 0 && !isBad('TRUSTED_PROXIES'))
    found.push(
      warning(
        'TRUSTED_PROXIES is empty, and PUBLIC_URL is https.',
        'Behind a proxy all callers count as one address, and one that guesses keys locks the others out.',
        'Set TRUSTED_PROXIES to the address that the proxy comes from.',
      ),
    )
  if (config.allowedCompletions.includes('callback'))
    found.push(
      warning(
        'ALLOWED_COMPLETIONS has callback.',
        'A link connects the TikTok account of whoever opens it, for the owner who made it.',
        'Take callback away if no caller of yours needs it.',
      ),
    )
  if (env.NODE_TLS_REJECT_UNAUTHORIZED === '0')
    found.push(
      fault(
        'NODE_TLS_REJECT_UNAUTHORIZED is 0.',
        'No certificate is looked at: tokens go to whoever answers.',
        'Unset it, and name your authority in NODE_EXTRA_CA_CERTS.',
      ),
    )
  return found
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (const [j, other] of [...b].entries())
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (letter === other ? 0 : 1)))
    row = next
  }
  return row[b.length] ?? 0
}

const capital = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`
