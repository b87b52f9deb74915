// Where the service listens, and PUBLIC_URL as others reach it: TikTok with its notices, browsers with everything else. Asked from here, so a
// name that leads back inside proves nothing about outside.

import { noAnswer, probe } from '../outbound/probe.ts'
import { isLoopback } from '../outbound/public-address.ts'
import { type Finding, fault, nothing, type Observation, type Patient, skipped, warning } from './finding.ts'

const notices = '/webhooks/tiktok'

export async function examinePublicAddress({ config, isBad }: Patient): Promise<Observation> {
  if (isBad('PUBLIC_URL')) return skipped
  const { host, hostname } = new URL(config.publicUrl)
  const why = 'TikTok delivers its notices there, and people come back there from allowing the access.'
  const ask = (path: string) =>
    probe({ url: new URL(path, config.publicUrl), method: 'GET', publicOnly: !isLoopback(hostname), proxy: config.proxy })
  const [alive, door] = await Promise.all([ask('/health/live'), ask(notices)])
  const seen = `${config.publicUrl}${notices}`
  if (alive.kind !== 'answered' || door.kind !== 'answered') {
    const outcome = alive.kind === 'answered' ? door : alive
    if (outcome.kind === 'answered') return { findings: [], seen }
    const { what, remedy } = noAnswer(outcome, `${host} (PUBLIC_URL)`)
    return {
      findings: [fault(what, why, `${remedy} From outside: \`curl -i ${config.publicUrl}/health/live\` has to answer 200.`)],
      seen: undefined,
    }
  }
  const findings = []
  const redirect = [alive, door].find(({ status }) => status >= 300 && status < 400)
  if (redirect)
    findings.push(
      fault(
        `${host} (PUBLIC_URL) sends callers elsewhere (status ${redirect.status}).`,
        `${why} A notice that is redirected is lost, and redirect URIs are compared byte by byte.`,
        "Set PUBLIC_URL to where it leads (with or without www, https), here and in TikTok's portal, or take the redirect away.",
      ),
    )
  else if (alive.status !== 200 || !/"status"/.test(alive.body.toString()))
    findings.push(
      fault(
        `What answers at ${config.publicUrl}/health/live is not this service (status ${alive.status}).`,
        why,
        'Start the service, and let the proxy pass every path on, as it is, with the Host header.',
      ),
    )
  else if (door.status !== 405 && door.status !== 404)
    findings.push(
      warning(
        `${seen} answers a GET with ${door.status} instead of 405.`,
        'Something between takes these calls, such as a firewall or a login.',
        `Let POST ${notices} through without a login: TikTok signs what it sends.`,
      ),
    )
  else if (door.status === 404)
    findings.push(fault(`${seen} is not there (404).`, why, `Let the proxy pass ${notices} on to the service, too.`))
  return { findings, seen }
}

/** The service may run already; what else listens at its ports keeps it from starting. */
export async function examinePorts({ config, isBad }: Patient): Promise<Observation> {
  const { host, port, metrics } = config
  const places = [
    { variable: 'PORT', number: port, path: '/health/live', ours: /"status"/ },
    { variable: 'METRICS_PORT', number: metrics.port ?? 0, path: '/metrics', ours: /^# HELP |"code"/m },
  ].filter(({ variable, number }) => number !== 0 && !isBad('HOST', variable))
  if (places.length === 0) return nothing
  const address = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  const states = await Promise.all(
    places.map(async ({ variable, number, path, ours }): Promise<{ findings: Finding[]; seen: string }> => {
      const outcome = await probe({ url: new URL(path, `http://${address}:${number}`), method: 'GET' })
      if (outcome.kind === 'not_sent' && outcome.reason === 'refused')
        return { findings: [], seen: `${variable} ${number} is free` }
      if (outcome.kind === 'not_sent')
        return {
          findings: [
            warning(
              noAnswer(outcome, `${address}:${number} (${variable})`).what,
              'The service listens at an address of this machine, or does not start.',
              'Set HOST to an address that this machine has; 0.0.0.0 is all of them.',
            ),
          ],
          seen: `${variable} ${number}`,
        }
      if (outcome.kind === 'answered' && ours.test(outcome.body.toString()))
        return { findings: [], seen: `the service runs at ${variable} ${number}` }
      return {
        findings: [
          fault(
            `Something else listens at ${address}:${number} (${variable}).`,
            'The service cannot listen there, and ends.',
            `\`ss -ltnp 'sport = :${number}'\` says what it is: stop it, or set ${variable} to another port.`,
          ),
        ],
        seen: `${variable} ${number}`,
      }
    }),
  )
  return { findings: states.flatMap(({ findings }) => findings), seen: states.map(({ seen }) => seen).join(', ') }
}
