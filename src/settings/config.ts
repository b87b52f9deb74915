// The environment, read once and checked as a whole. An error names the variable and never shows its value, because half of them
// are secrets.
import { readFileSync } from 'node:fs'
import type { KeyScope } from '../access/key-scopes.ts'
import type { Bounds } from '../access/reach.ts'
import { isLoopback } from '../outbound/public-address.ts'
import { type DatabaseLink, DatabaseUrlError, readDatabaseUrl } from './database-url.ts'
import { type Logo, readLogos } from './logos.ts'
import { secretVariables, variables } from './variables.ts'
import { readVerifications, type VerificationFile } from './verifications.ts'

/** What the rest of the service knows of its environment. */
export type Config = ReturnType<typeof loadConfig>

/** One sentence per bad variable: its name and what would be right, never the value. */
export class ConfigError extends Error {
  readonly problems: string[]
  constructor(problems: string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/**
 * @param env such as process.env; an empty string counts as unset, because that is how compose files and CI unset things
 * @throws ConfigError naming every bad or missing variable
 */
export function loadConfig(env: Record<string, string | undefined>) {
  const { config, problems } = readConfig(env)
  if (problems.size > 0) throw new ConfigError([...problems.values()])
  return config
}

/** Required variables that are missing or bad stand for themselves like this, so that the others can be read and judged. */
const standIns = { TIKTOK_CLIENT_KEY: 'missing', TIKTOK_CLIENT_SECRET: 'is-missing' }

/**
 * Everything that is wrong, a sentence under each variable's name, and what the rest says: a bad variable counts as unset there. That is
 * for looking (`doctor`, `portal`); whoever works with it calls `loadConfig`.
 */
export function readConfig(env: Record<string, string | undefined>) {
  const problems = new Map<string, string>()
  const given = withSecretFiles(
    Object.fromEntries(
      Object.entries({ ...env, HTTPS_PROXY: env.HTTPS_PROXY || env.https_proxy, NO_PROXY: env.NO_PROXY || env.no_proxy }).filter(
        ([name, value]) => name in variables.shape && value !== undefined && value !== '',
      ),
    ),
    problems,
  )
  const isBad = (name: string) => problems.has(name) || problems.has(`${name}_FILE`)
  /** One sentence for each, and none that only follows from another variable's being bad. */
  const blame = (name: string, sentence: string, ...because: string[]) => {
    if (![name, ...because].some(isBad)) problems.set(name, sentence)
  }
  const parsed = variables.safeParse(given)
  for (const issue of parsed.error?.issues ?? []) {
    const name = String(issue.path[0])
    const sentence =
      given[name] === undefined
        ? 'is missing'
        : issue.code === 'custom' || issue.code === 'too_small' || issue.code === 'invalid_format'
          ? issue.message
          : 'is not an allowed value'
    blame(name, `${name} ${sentence}`)
  }
  const good = Object.fromEntries(Object.entries(given).filter(([name]) => !isBad(name)))
  const v = parsed.data ?? variables.parse({ ...standIns, ...good })
  if (v.DATABASE_URL && !v.VAULT_KEYS && !v.VAULT_KEYS_FILE && !v.VAULT_KEYS_COMMAND)
    blame(
      'VAULT_KEYS',
      'VAULT_KEYS is missing: with DATABASE_URL set it is required, because the tokens outlive this machine (make a key with `npm run --silent cli -- vault keygen`)',
      'VAULT_KEYS_COMMAND',
    )
  const databaseAccess = { tls: v.DATABASE_TLS, pooler: v.DATABASE_POOLER, password: v.PGPASSWORD }
  for (const name of ['DATABASE_URL', 'DATABASE_DIRECT_URL'] as const) {
    const url = v[name]
    const trouble = url === undefined ? undefined : troubleOf({ ...databaseAccess, url })
    if (trouble !== undefined) blame(name, `${name} ${trouble}`, 'DATABASE_TLS')
  }
  // The one variable of psql's that the driver reads behind our back.
  if (env.PGTARGETSESSIONATTRS)
    blame('PGTARGETSESSIONATTRS', 'PGTARGETSESSIONATTRS is set: say target_session_attrs in DATABASE_URL instead, and unset it')
  if (v.DATABASE_DIRECT_URL && !v.DATABASE_URL)
    blame(
      'DATABASE_DIRECT_URL',
      'DATABASE_DIRECT_URL is set and DATABASE_URL is not: the service has to be told its way, too',
      'DATABASE_URL',
    )
  if (v.DATABASE_POOLER === 'transaction' && v.MIGRATE === 'on' && !v.DATABASE_DIRECT_URL)
    blame(
      'DATABASE_DIRECT_URL',
      'DATABASE_DIRECT_URL is missing: with DATABASE_POOLER=transaction migrations need an address past the pooler, or MIGRATE=off and a migration job of its own',
      'MIGRATE',
    )
  if (v.VAULT_KEYS && v.VAULT_KEYS_FILE) blame('VAULT_KEYS_FILE', 'VAULT_KEYS_FILE and VAULT_KEYS are both set: keep one')
  if (v.VAULT_KEYS_COMMAND && (v.VAULT_KEYS || v.VAULT_KEYS_FILE))
    blame('VAULT_KEYS_COMMAND', 'VAULT_KEYS_COMMAND and VAULT_KEYS or VAULT_KEYS_FILE are both set: keep one')
  const tierService = v.TIER_SERVICE_URL === undefined ? undefined : new URL(v.TIER_SERVICE_URL)
  if (tierService?.protocol === 'http:' && !isLoopback(tierService.hostname) && v.TIER_SERVICE_TLS !== 'off')
    blame(
      'TIER_SERVICE_URL',
      'TIER_SERVICE_URL is http, so its token and its answers cross the network in the clear: use https, or set TIER_SERVICE_TLS=off for a network that you trust',
      'TIER_SERVICE_TLS',
    )
  if (!v.PUBLIC_URL && !isLoopback(v.HOST))
    blame('PUBLIC_URL', 'PUBLIC_URL is missing: HOST is not loopback, so browsers need a public address')
  for (const name of ['JWT_ISSUER', 'JWT_AUDIENCE', 'JWT_SCOPES'] as const) {
    if (v.JWT_JWKS_URL && !v[name]) blame(name, `${name} is missing: it is required when JWT_JWKS_URL is set`)
  }
  if (!v.TIER_LIMITS.has(v.DEFAULT_TIER))
    blame('DEFAULT_TIER', 'DEFAULT_TIER is not one of the tiers in TIER_LIMITS', 'TIER_LIMITS')
  for (const scope of v.TIKTOK_REQUIRED_SCOPES) {
    if (!v.TIKTOK_SCOPES.includes(scope))
      blame('TIKTOK_REQUIRED_SCOPES', 'TIKTOK_REQUIRED_SCOPES holds a scope that is not in TIKTOK_SCOPES', 'TIKTOK_SCOPES')
  }
  if (v.METRICS_PORT !== undefined && v.METRICS_PORT !== 0 && v.METRICS_PORT === v.PORT)
    blame('METRICS_PORT', 'METRICS_PORT is the same as PORT: choose another')
  const logos = readLogos(v.APP_LOGO)
  if (typeof logos === 'string') blame('APP_LOGO', `APP_LOGO ${logos}`)
  const verifications = readVerifications(v.TIKTOK_VERIFICATION)
  if (typeof verifications === 'string') blame('TIKTOK_VERIFICATION', `TIKTOK_VERIFICATION ${verifications}`)

  const publicUrl = v.PUBLIC_URL ?? `http://127.0.0.1:${v.PORT}`
  const config = {
    host: v.HOST,
    port: v.PORT,
    publicUrl,
    /** registered in TikTok's portal, byte for byte */
    redirectUri: `${publicUrl}/callback`,
    databaseUrl: v.DATABASE_URL,
    databaseDirectUrl: v.DATABASE_DIRECT_URL,
    databaseAccess,
    databasePoolSize: v.DATABASE_POOL_SIZE,
    migrate: v.MIGRATE === 'on',
    dataDir: v.DATA_DIR,
    tiktok: {
      clientKey: v.TIKTOK_CLIENT_KEY,
      clientSecret: v.TIKTOK_CLIENT_SECRET,
      webhookSecrets: v.TIKTOK_CLIENT_SECRET_PREVIOUS
        ? [v.TIKTOK_CLIENT_SECRET, v.TIKTOK_CLIENT_SECRET_PREVIOUS]
        : [v.TIKTOK_CLIENT_SECRET],
      authBaseUrl: v.TIKTOK_AUTH_BASE_URL,
      apiBaseUrl: v.TIKTOK_API_BASE_URL,
      scopes: v.TIKTOK_SCOPES as readonly string[],
      requiredScopes: v.TIKTOK_REQUIRED_SCOPES as readonly string[],
      pkce: v.TIKTOK_PKCE,
    },
    vaultKeys: v.VAULT_KEYS,
    vaultKeysFile: v.VAULT_KEYS_FILE,
    vaultKeysCommand: v.VAULT_KEYS_COMMAND,
    allowedCompletions: v.ALLOWED_COMPLETIONS as readonly ('confirm' | 'callback')[],
    docs: v.DOCS === 'on',
    auditStream: v.AUDIT_STREAM,
    /** the way out for https, where it is not a direct one */
    proxy: v.HTTPS_PROXY === undefined ? undefined : { url: v.HTTPS_PROXY, except: v.NO_PROXY as readonly string[] },
    securityContact: v.SECURITY_CONTACT as readonly string[],
    /** whose the pages are */
    brand: {
      name: v.APP_NAME,
      /** the first is the usual one */
      logos: typeof logos === 'string' ? [] : (logos as readonly Logo[]),
      color: v.BRAND_COLOR,
      privacyUrl: v.PRIVACY_URL,
      termsUrl: v.TERMS_URL,
      supportUrl: v.SUPPORT_URL,
    },
    tiktokVerifications: typeof verifications === 'string' ? [] : (verifications as readonly VerificationFile[]),
    allowedReturnUrls: v.ALLOWED_RETURN_URLS as readonly string[],
    tiers: {
      limits: v.TIER_LIMITS as ReadonlyMap<string, number>,
      defaultTier: v.DEFAULT_TIER,
      serviceUrl: v.TIER_SERVICE_URL,
      serviceToken: v.TIER_SERVICE_TOKEN,
    },
    uploadLimitPerDay: v.UPLOAD_LIMIT_PER_DAY,
    journal: {
      /** the variable that names it; undefined: it is under DATA_DIR */
      namedBy: v.JOURNAL_DIR ? 'JOURNAL_DIR' : v.SPILL_DIR ? 'SPILL_DIR' : undefined,
      dir: v.JOURNAL_DIR ?? v.SPILL_DIR ?? `${v.DATA_DIR}/journal`,
      copyDir: v.JOURNAL_COPY_DIR,
      hours: v.JOURNAL_HOURS,
      /** where releases before the journal kept their answers */
      spillDirs: [...new Set([v.SPILL_DIR ?? `${v.DATA_DIR}/spill`, ...(v.JOURNAL_DIR ? [v.JOURNAL_DIR] : [])])],
    },
    redisUrl: v.REDIS_URL,
    eventWebhooks: v.EVENT_WEBHOOKS as readonly { url: string; secrets: string[] }[],
    trustedProxies: v.TRUSTED_PROXIES as readonly string[],
    rateLimitPerMinute: v.RATE_LIMIT_PER_MINUTE,
    /** 0: no cap */
    readCapAccountsPerKey: v.READ_CAP_ACCOUNTS_PER_KEY,
    jwt:
      v.JWT_JWKS_URL && v.JWT_ISSUER && v.JWT_AUDIENCE && v.JWT_SCOPES
        ? {
            jwksUrl: v.JWT_JWKS_URL,
            issuer: v.JWT_ISSUER,
            audience: v.JWT_AUDIENCE,
            claim: v.JWT_CLAIM,
            maxAgeSeconds: v.JWT_MAX_AGE,
            scopes: v.JWT_SCOPES as ReadonlyMap<string, readonly KeyScope[]>,
            reaches: v.JWT_REACH as ReadonlyMap<string, Bounds>,
          }
        : undefined,
    metrics: { token: v.METRICS_TOKEN, port: v.METRICS_PORT },
    shutdownDelaySeconds: v.SHUTDOWN_DELAY_SECONDS,
    logLevel: v.LOG_LEVEL,
    logsRequests: v.LOG_REQUESTS === 'on',
    traceEndpoint: v.OTEL_EXPORTER_OTLP_ENDPOINT,
    /** __Host- cookies and HSTS need https; browsers would drop them on a loopback http PUBLIC_URL (S04). */
    secureCookies: publicUrl.startsWith('https:'),
  } as const
  return { config, problems }
}

/** How the service reaches its database, and the way past a pooler for what needs a session of its own. The embedded one has neither TLS nor pooler. */
export function databaseLinks(config: Config, embeddedUrl?: string): { usual: DatabaseLink; direct: DatabaseLink } {
  const { databaseUrl, databaseDirectUrl, databaseAccess } = config
  const usual = databaseUrl === undefined ? { url: embeddedUrl ?? '' } : { ...databaseAccess, url: databaseUrl }
  if (databaseDirectUrl === undefined) return { usual, direct: usual }
  return { usual, direct: { ...databaseAccess, pooler: undefined, url: databaseDirectUrl } }
}

/** For every variable that holds a secret: its value, or what stands in the file that NAME_FILE names. */
function withSecretFiles(
  given: Record<string, string | undefined>,
  problems: Map<string, string>,
): Record<string, string | undefined> {
  const read = { ...given }
  for (const name of secretVariables) {
    const file = given[`${name}_FILE`]
    if (file === undefined) continue
    if (given[name] !== undefined) {
      problems.set(`${name}_FILE`, `${name}_FILE and ${name} are both set: keep one`)
      continue
    }
    try {
      read[name] = readFileSync(file, 'utf8').trim()
    } catch {
      problems.set(`${name}_FILE`, `${name}_FILE cannot be read`)
    }
  }
  return read
}

/** @returns what is wrong with it, to be read after the variable's name */
function troubleOf(link: DatabaseLink): string | undefined {
  try {
    readDatabaseUrl(link)
    return undefined
  } catch (error) {
    if (!(error instanceof DatabaseUrlError)) throw error
    return error.message
  }
}
