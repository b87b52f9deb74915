// What the configuration says: everything that stops a start, and what starts and is still not meant.
import { secretVariables, variables } from '../settings/variables.ts'
import { type Finding, fault, type Observation, type Patient, variablesWord, warning } from './finding.ts'
import { ofTikTokApp } from './tiktok-app.ts'

const secrets: ReadonlySet<string> = new Set([...secretVariables, 'VAULT_KEYS'])
/** The service takes the ends off these by itself. */
const trimmed: ReadonlySet<string> = new Set(['DATABASE_URL', 'DATABASE_DIRECT_URL', 'VAULT_KEYS'])
/** Nobody else's variables begin like this; those that Kubernetes makes of a Service's name do, and say nothing to us. */
const ofOurs = /^(TIKTOK|JWT|TIER|JOURNAL)_/
const ofKubernetes = /_(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP)\w*)?)$/

/** @param problems sentences about what stops the start, each beginning with its variable */
export async function readConfiguration(patient: Patient, problems: readonly string[]): Promise<Observation> {
  const { env } = patient
  const findings = [
    ...problems.map(ofProblem),
    ...Object.keys(env).flatMap((name) => [...quoted(name, env[name]), ...spaced(name, env[name]), ...misspelt(name)]),
    ...ofTikTokApp(patient),
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

/** A name that begins like ours, or nearly is one, and is none: what it was to say is not said. */
function misspelt(name: string): Finding[] {
  if (name in variables.shape || name.length < 8 || ofKubernetes.test(name)) return []
  const [nearest] = Object.keys(variables.shape)
    .map((known) => ({ known, steps: distance(name, known) }))
    .sort((a, b) => a.steps - b.steps)
  if (!ofOurs.test(name) && !(nearest && nearest.steps <= 2)) return []
  const meant = nearest && nearest.steps <= Math.max(2, name.length / 4) ? `: did you mean ${nearest.known}?` : '.'
  return [
    warning(
      `${name} is no variable of this service${meant}`,
      'What it says is read by nobody.',
      'Rename it, or take it away. .env.example has every variable.',
    ),
  ]
}

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
