// Every variable of the environment, with its sentence, its default and its check. `.env.example` is generated from here.
import { isIP } from 'node:net'
import { z } from 'zod'
import { type KeyScope, keyScopes } from '../access/key-scopes.ts'
import { type Bounds, isNetwork } from '../access/reach.ts'
import { isColor, isPageUrl, isSupportUrl } from '../display/branding.ts'
import { isVisible } from '../display/names.ts'
import { isLoopback, isPrivateLiteral } from '../outbound/public-address.ts'

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)

const origin = (sentence: string) =>
  z
    .string()
    .refine((text) => URL.canParse(text), sentence)
    .transform((text) => new URL(text))
    .refine((url) => url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '', sentence)
    .refine((url) => url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname)), sentence)
    .transform((url) => url.origin)

const secret = z
  .string()
  .min(8, 'is too short to be a secret')
  .max(512, 'is too long')
  .refine((text) => !/^(.)\1*$/.test(text) && !/changeme|change-me|example|your[-_ ]/i.test(text), 'is an example value')

const wholeNumber = (from: number, to: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${from} to ${to}`)
    .transform(Number)
    .refine((value) => value >= from && value <= to, `must be a whole number from ${from} to ${to}`)

const tierLimits = z.string().transform((text, check) => {
  const limits = new Map<string, number>()
  for (const item of text.split(',')) {
    const match = /^([a-z0-9_-]{1,32}):(\d{1,6})$/.exec(item.trim())
    if (!match?.[1] || limits.has(match[1])) {
      check.addIssue({ code: 'custom', message: 'must read TIER:LIMIT,TIER:LIMIT' })
      return z.NEVER
    }
    limits.set(match[1], Number(match[2]))
  }
  return limits
})

const webhookTargets = list
  .transform((items) => items.map((item) => item.split('|')).map(([url = '', ...secrets]) => ({ url, secrets })))
  .refine(
    (targets) => targets.every(({ url }) => mayBeTarget(url)) && new Set(targets.map(({ url }) => url)).size === targets.length,
    'must hold https URLs, each once, without a password and outside private networks (http on loopback)',
  )
  .refine(
    (targets) => targets.every(({ secrets }) => (secrets.length === 1 || secrets.length === 2) && secrets.every(isWebhookSecret)),
    'must read URL|SECRET[|OLD_SECRET] with base64 secrets of 24 to 64 random bytes',
  )

/** Whether the user and the password in a URL can be read: a % that stands for itself is written %25. */
function isDecodable(text: string): boolean {
  try {
    const { username, password } = new URL(text)
    return decodeURIComponent(username + password) !== undefined
  } catch {
    return false
  }
}
const undecodable = 'must have %25 for each % in its user and password'

/** A collector may well be inside the network; a file has no host. */
const mayBeStream = ({ protocol, hostname, pathname }: URL): boolean =>
  protocol === 'https:' ||
  (protocol === 'http:' && isLoopback(hostname)) ||
  (protocol === 'file:' && hostname === '' && pathname !== '/')

/** Host names are resolved and checked at each call. */
function mayBeTarget(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return false
  return url.protocol === 'https:'
    ? isLoopback(url.hostname) || !isPrivateLiteral(url)
    : url.protocol === 'http:' && isLoopback(url.hostname)
}

function isWebhookSecret(text: string): boolean {
  const [, base64 = ''] = /^(?:whsec_)?([A-Za-z0-9+/]{32,88}={0,2})$/.exec(text) ?? []
  const byteLength = Buffer.from(base64, 'base64').length
  return byteLength >= 24 && byteLength <= 64 && !/^(.)\1*=*$/.test(base64)
}

const returnUrls = list.refine(
  (urls) =>
    urls.every((text) => {
      if (!URL.canParse(text)) return false
      const url = new URL(text)
      return (
        url.search === '' &&
        url.hash === '' &&
        (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname)))
      )
    }),
  'must hold absolute https URLs (http on loopback) without query or fragment',
)

const scopes = list.refine(
  (names) => names.length > 0 && names.every((name) => /^[a-z0-9._]{3,64}$/.test(name)),
  'must hold scope names separated by commas',
)

const jwtScopes = z.string().transform((text, check) => {
  const scopes = new Map<string, KeyScope[]>()
  for (const item of text.split(',')) {
    const [value, list] = [item.slice(0, item.lastIndexOf('=')).trim(), item.slice(item.lastIndexOf('=') + 1).trim()]
    const known = list.split('+').flatMap((name) => keyScopes.filter((scope) => scope === name))
    if (value === '' || known.length !== list.split('+').length || scopes.has(value)) {
      check.addIssue({
        code: 'custom',
        message: `must read VALUE=SCOPE+SCOPE,VALUE=SCOPE with scopes of ${keyScopes.join(', ')}`,
      })
      return z.NEVER
    }
    scopes.set(value, known)
  }
  return scopes
})

const pageUrl = z.string().refine(isPageUrl, 'must be an https URL (http on loopback)')

const databaseUrl = z.string().regex(/^postgres(ql)?:\/\/.+/, 'must read postgres://USER:PASSWORD@HOST:PORT/DATABASE')

const jwtReach = z.string().transform((text, check) => {
  const reaches = new Map<string, Bounds>()
  for (const item of text.split(',')) {
    const [value, list] = [item.slice(0, item.lastIndexOf('=')).trim(), item.slice(item.lastIndexOf('=') + 1).trim()]
    const parts = list.split('+').map((part) => /^(owner|account|from):(.+)$/.exec(part)?.slice(1))
    const all = (kind: string) => {
      const found = parts.flatMap((part) => (part?.[0] === kind ? [decoded(part[1] ?? '')] : []))
      return found.length > 0 ? found : null
    }
    const networks = all('from')
    if (value === '' || reaches.has(value) || !parts.every((part) => part) || !(networks ?? []).every(isNetwork)) {
      check.addIssue({ code: 'custom', message: 'must read VALUE=owner:PREFIX+account:ID+from:CIDR,VALUE=owner:PREFIX' })
      return z.NEVER
    }
    reaches.set(value, { ownerPrefixes: all('owner'), accountIds: all('account'), networks })
  }
  return reaches
})

const decoded = (text: string) => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Every variable, in the order of `.env.example`. The description is its sentence there. */
/** Those that hold a secret, alone or inside a URL. Each may be read from a file: environments are shown in more places than files are. */
export const secretVariables = [
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'PGPASSWORD',
  'TIKTOK_CLIENT_SECRET',
  'TIKTOK_CLIENT_SECRET_PREVIOUS',
  'TIER_SERVICE_TOKEN',
  'REDIS_URL',
  'EVENT_WEBHOOKS',
  'METRICS_TOKEN',
  'AUDIT_STREAM',
  'HTTPS_PROXY',
] as const
const secretFiles = Object.fromEntries(
  secretVariables.map((name) => [`${name}_FILE`, z.string().min(1).optional().describe(`A file that holds what ${name} would`)]),
) as { [name in `${(typeof secretVariables)[number]}_FILE`]: z.ZodOptional<z.ZodString> }

export const variables = z.object({
  HOST: z.string().min(1).default('127.0.0.1').describe('Address to listen on'),
  PORT: wholeNumber(0, 65535).default(3000).describe('Port to listen on'),
  PUBLIC_URL: origin('must be an origin such as https://oauth.example.com; http only on loopback')
    .optional()
    .describe(
      'Origin that browsers reach; redirect_uri is PUBLIC_URL/callback. Must be https unless the host is loopback. Unset: http://127.0.0.1:PORT',
    ),
  DATABASE_URL: databaseUrl
    .optional()
    .describe(
      'PostgreSQL, written as for psql; docs/deploying.md says more. Unset: embedded PostgreSQL under DATA_DIR, which serves one machine',
    ),
  DATABASE_TLS: z
    .enum(['verify', 'off'])
    .optional()
    .describe(
      'verify: the server has to prove its identity by TLS; the default unless the host is loopback or a socket. off: it does not, for a network that you trust. sslmode, sslrootcert and channel_binding in DATABASE_URL are honoured',
    ),
  DATABASE_POOLER: z
    .enum(['session', 'transaction'])
    .optional()
    .describe(
      'How PgBouncer shares its sessions (its pool_mode), where one stands between. transaction needs DATABASE_DIRECT_URL, unless MIGRATE=off',
    ),
  DATABASE_DIRECT_URL: databaseUrl
    .optional()
    .describe('PostgreSQL past the pooler, for what needs a session of its own: migrations and commands. Unset: DATABASE_URL'),
  DATABASE_POOL_SIZE: wholeNumber(1, 1000)
    .default(10)
    .describe('How many connections to PostgreSQL each replica opens at the most'),
  PGPASSWORD: z
    .string()
    .max(1024, 'is too long')
    .optional()
    .describe('The password for a DATABASE_URL that has none, as psql reads it: written as it is, without percent-encoding'),
  MIGRATE: z
    .enum(['on', 'off'])
    .default('on')
    .describe(
      'off: the start migrates nothing and ends when something is missing, for a migration job of its own (`cli migrate`)',
    ),
  DATA_DIR: z
    .string()
    .min(1)
    .default('.data')
    .describe(
      'Folder of the embedded database, the journal and the generated development key; unused when DATABASE_URL and JOURNAL_DIR are set',
    ),
  TIKTOK_CLIENT_KEY: z
    .string()
    .regex(/^[A-Za-z0-9_-]{4,128}$/, 'must be the client key of your TikTok app')
    .describe('Client key of your TikTok app (required)'),
  TIKTOK_CLIENT_SECRET: secret.describe('Client secret of your TikTok app (required)'),
  TIKTOK_CLIENT_SECRET_PREVIOUS: secret.optional().describe('Accepted for webhook signatures while the secret is being changed'),
  TIKTOK_AUTH_BASE_URL: origin('must be an https origin; http only on loopback')
    .default('https://www.tiktok.com')
    .describe("TikTok's authorize page; the simulator's URL for development"),
  TIKTOK_API_BASE_URL: origin('must be an https origin; http only on loopback')
    .default('https://open.tiktokapis.com')
    .describe("TikTok's API; the simulator's URL for development"),
  TIKTOK_SCOPES: scopes
    .default(['user.info.basic', 'user.info.profile', 'user.info.stats', 'video.upload'])
    .describe(
      'Scopes requested from TikTok. A new TikTok app has `user.info.basic` and, with the Content Posting API, `video.upload`; it has no `user.info.profile` or `user.info.stats` before TikTok approves them, and one scope too many makes TikTok refuse everything',
    ),
  TIKTOK_REQUIRED_SCOPES: scopes
    .default(['user.info.basic', 'video.upload'])
    .describe('A grant without these is refused; they are asked for alone when TikTok refuses all of TIKTOK_SCOPES'),
  TIKTOK_PKCE: z
    .enum(['off', 's256', 's256-hex'])
    .default('off')
    .describe('off, s256 (RFC 7636) or s256-hex (TikTok desktop apps hash to hex instead)'),
  VAULT_KEYS: z
    .string()
    .optional()
    .describe(
      'k2:BASE64,k1:BASE64, 32 bytes each, the first is primary; make one with `cli vault keygen`. Required when DATABASE_URL is set (or VAULT_KEYS_FILE)',
    ),
  VAULT_KEYS_FILE: z.string().min(1).optional().describe('A file that holds what VAULT_KEYS would'),
  VAULT_KEYS_COMMAND: z
    .string()
    .min(1)
    .optional()
    .describe(
      'A program and its arguments, run at start without a shell: it prints what VAULT_KEYS would be. For keys in a KMS, Vault, SOPS or age; SECURITY.md has examples',
    ),
  ALLOWED_RETURN_URLS: returnUrls
    .default([])
    .describe('Comma list of URLs that people may be sent back to; origin and path must match exactly'),
  ALLOWED_COMPLETIONS: list
    .refine(
      (modes) => modes.length > 0 && modes.every((mode) => mode === 'confirm' || mode === 'callback'),
      'must be confirm, or confirm,callback',
    )
    .default(['confirm'])
    .describe(
      'How connect sessions may be completed. confirm: your backend says who is logged in. callback: at once, so a link can connect the TikTok account of whoever opens it; people are shown first who gets access',
    ),
  AUDIT_STREAM: z
    .string()
    .refine((text) => URL.canParse(text) && mayBeStream(new URL(text)), 'must be file:/PATH or an https URL (http on loopback)')
    .refine(isDecodable, undecodable)
    .transform((text) => new URL(text))
    .optional()
    .describe(
      'Optional: where the audit goes too, as JSON lines, at least once: file:/PATH or https://COLLECTOR. One replica writes it',
    ),
  HTTPS_PROXY: z
    .string()
    .refine(
      (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
      'must read http://[USER:PASSWORD@]HOST:PORT',
    )
    .refine(isDecodable, undecodable)
    .transform((text) => new URL(text))
    .optional()
    .describe(
      'Optional: the forward proxy that https leaves by, to TikTok, receivers of events, the tier service and AUDIT_STREAM. Also read as https_proxy',
    ),
  NO_PROXY: z
    .string()
    .default('')
    .transform((text) => text.split(/[,\s]+/).filter((entry) => entry !== ''))
    .describe(
      'Hosts that are reached past HTTPS_PROXY: names with all below them, addresses, each with or without :PORT; `*` for all',
    ),
  DOCS: z.enum(['on', 'off']).default('on').describe('off: no /docs and no /openapi.json'),
  SECURITY_CONTACT: list
    .refine(
      (contacts) => contacts.every((contact) => /^(mailto:[^\s@]+@[^\s@]+|https:\/\/\S+|tel:[+\d-]+)$/.test(contact)),
      'must hold mailto:, https: or tel: addresses',
    )
    .default([])
    .describe(
      'Where to report a vulnerability, such as mailto:security@example.com: said in /.well-known/security.txt (RFC 9116)',
    ),
  APP_NAME: z
    .string()
    .trim()
    .max(60, 'is longer than 60 characters')
    .refine((text) => isVisible(text) && !/\p{Cc}|\p{Bidi_Control}/u.test(text), 'must be one line of text that can be seen')
    .optional()
    .describe('Whose the pages are, as people know it: shown at the top. TikTok lets no name refer to a social media company'),
  APP_LOGO: list
    .default([])
    .describe(
      'Its logo: a PNG, JPEG, WebP or SVG file of at most 256 KiB, made for a light ground. A comma list for several products: the first is shown unless `branding.logo` of a connect session names another, by the name of its file without the ending',
    ),
  BRAND_COLOR: z
    .string()
    .refine(isColor, 'must be a colour such as #23584a')
    .optional()
    .describe(
      'The colour of buttons and links; darkened or lightened as far as text needs to be read (4.5:1), which the log says',
    ),
  PRIVACY_URL: pageUrl.optional().describe("Your privacy policy, linked on every page: TikTok's review asks for it"),
  TERMS_URL: pageUrl.optional().describe("Your terms of service, linked on every page: TikTok's review asks for them"),
  SUPPORT_URL: z
    .string()
    .refine(isSupportUrl, 'must be an https URL (http on loopback) or a mailto: address')
    .optional()
    .describe('Where people find help, linked on every page: a page, or mailto:ADDRESS'),
  TIKTOK_VERIFICATION: list
    .default([])
    .describe(
      "TikTok's site verification files, served at PUBLIC_URL/tiktok….txt: their paths, or what stands in them (tiktok-developers-site-verification=CODE, or the CODE). A comma list, because each address that TikTok verifies has its own",
    ),
  TIER_LIMITS: tierLimits
    .default(
      new Map([
        ['free', 1],
        ['creator', 3],
        ['business', 10],
      ]),
    )
    .describe('How many accounts an owner of each tier may connect'),
  DEFAULT_TIER: z.string().min(1).default('free').describe('Tier of owners whose tier was never set'),
  TIER_SERVICE_URL: z
    .string()
    .refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), 'must be an http or https URL')
    .optional()
    .describe('Optional: GET URL/OWNER_ID answers {"tier":"creator"} or {"account_limit":7} and decides instead'),
  TIER_SERVICE_TLS: z
    .enum(['verify', 'off'])
    .default('verify')
    .describe('off: TIER_SERVICE_URL may be http on a network that you trust; on loopback it may anyway'),
  TIER_SERVICE_TOKEN: secret.optional().describe('Bearer token for the tier service'),
  UPLOAD_LIMIT_PER_DAY: wholeNumber(1, 1000).default(20).describe('Uploads per TikTok account in any 24 hours'),
  JOURNAL_DIR: z
    .string()
    .min(1)
    .optional()
    .describe(
      'The rotation journal: token answers and what must not be undone, sealed; keep it on a disk that outlives the process. Unset: DATA_DIR/journal',
    ),
  JOURNAL_COPY_DIR: z
    .string()
    .min(1)
    .optional()
    .describe('Optional: a second place for the journal that outlives the machine, such as a network file system'),
  JOURNAL_HOURS: wholeNumber(1, 8760)
    .default(168)
    .describe('How long the journal is kept after the database has it: no backup older than this can be brought up to date'),
  SPILL_DIR: z.string().min(1).optional().describe('The old name of JOURNAL_DIR'),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\/.+/, 'must read redis://HOST:PORT')
    .optional()
    .describe('Optional: rate limits shared by all replicas'),
  EVENT_WEBHOOKS: webhookTargets
    .default([])
    .describe(
      'Optional: comma list of URL|SECRET[|OLD_SECRET] for signed events, such as https://app.example.com/hooks|whsec_BASE64; docs/events.md says more',
    ),
  TRUSTED_PROXIES: list
    .refine((items) => items.every((item) => isIP(item.split('/')[0] ?? '') !== 0), 'must hold addresses or CIDR ranges')
    .default([])
    .describe('Addresses whose forwarded headers count; none by default'),
  SHUTDOWN_DELAY_SECONDS: wholeNumber(0, 300)
    .default(0)
    .describe(
      'How long a process that is asked to end goes on serving while it already says that it is not ready: longer than a proxy takes to notice (5 in the image)',
    ),
  METRICS_TOKEN: secret
    .optional()
    .describe('Optional: a bearer token that opens /metrics, also while the database is away; any text of 8 characters or more'),
  METRICS_PORT: wholeNumber(0, 65535)
    .optional()
    .describe(
      'Optional: a port of its own for /metrics, also while the database is away. It asks for METRICS_TOKEN if that is set and for nothing otherwise: keep it inside your network',
    ),
  RATE_LIMIT_PER_MINUTE: wholeNumber(1, 10_000_000)
    .default(6000)
    .describe('Requests per key and minute; failed authentication per address, a hundredth of it'),
  READ_CAP_ACCOUNTS_PER_KEY: wholeNumber(0, 1_000_000)
    .default(10_000)
    .describe(
      'How many different accounts a key may read tokens of in any ten minutes, over all replicas: what a stolen key can take before somebody looks. 0: no cap',
    ),
  JWT_JWKS_URL: z
    .string()
    .refine((text) => {
      const url = URL.canParse(text) ? new URL(text) : undefined
      return url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
    }, 'must be an https URL; http only on loopback')
    .optional()
    .describe('Optional: JWKS URL of your own identity provider, whose JWTs callers may send instead of an API key'),
  JWT_ISSUER: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .describe('Required value of `iss`; needed with JWT_JWKS_URL, like the next two'),
  JWT_AUDIENCE: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .describe('Value that `aud` must contain: this service and no other of yours'),
  JWT_SCOPES: jwtScopes
    .optional()
    .describe('Who may do what: VALUE=SCOPE+SCOPE,VALUE=SCOPE; a token without any VALUE may do nothing'),
  JWT_REACH: jwtReach
    .default(new Map())
    .describe(
      'Which callers reach less than everything: VALUE=owner:PREFIX+account:ID+from:CIDR, each as often as needed; what is outside is 404. `+`, `,` and `=` in a prefix are percent-encoded. Of several values of one token all narrow',
    ),
  JWT_MAX_AGE: wholeNumber(60, 86_400)
    .default(3600)
    .describe('Seconds after `iat` in which a JWT is believed, however late it expires'),
  JWT_CLAIM: z
    .string()
    .regex(/^[\w.:/-]{1,128}$/, 'must be the name of a claim')
    .default('sub')
    .describe('The claim that holds the VALUE: a string, or a list such as roles'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('How much is logged. SIGUSR2 raises it to debug while the process runs, and the next one takes that back'),
  LOG_REQUESTS: z
    .enum(['on', 'off'])
    .default('off')
    .describe('`on`: a line at info for every request, with its route, status and time; otherwise at debug'),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      'Optional: switches tracing on; a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318. Requests, statements and calls to TikTok become spans, and `traceparent` is honoured and sent on',
    ),
  ...secretFiles,
})

/** @returns the text of `.env.example`: every variable, a sentence each, commented out unless required */
export function envExample(): string {
  const lines = [
    '# Every variable of the service, a sentence each. Generated from src/settings/variables.ts: `npm run docs`.',
    '',
  ]
  for (const [name, schema] of Object.entries(variables.shape)) {
    const fallback = schema.safeParse(undefined)
    const shown = fallback.success && fallback.data !== undefined ? plain(fallback.data) : ''
    const required = !fallback.success
    lines.push(`# ${schema.description}`, `${required ? '' : '# '}${name}=${shown}`, '')
  }
  return lines.join('\n')
}

function plain(value: unknown): string {
  if (value instanceof Map) return [...value].map(([key, limit]) => `${key}:${limit}`).join(',')
  return Array.isArray(value) ? value.join(',') : String(value)
}
