// The app at TikTok, as far as the configuration alone tells: credentials that look wrong, parts of a trial among parts of the real thing, and a
// redirect URI that TikTok's portal would not take.
import { isLoopback } from '../outbound/public-address.ts'
import type { Config } from '../settings/config.ts'
import { type Finding, fault, type Patient, warning } from './finding.ts'

export function ofTikTokApp(patient: Patient): Finding[] {
  return [...ofCredentials(patient), ...ofMixture(patient), ...(takesAny(patient) ? [] : ofRedirectUri(patient.config))]
}

/** What the app's credentials look like: TikTok's keys begin with aw, those of a sandbox with sb. */
function ofCredentials({ config, isBad }: Patient): Finding[] {
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
function ofMixture({ config, isBad }: Patient): Finding[] {
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
