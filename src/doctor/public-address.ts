// PUBLIC_URL as others reach it: TikTok with its notices, browsers with everything else. Asked from here, so a name that leads back inside
// proves nothing about outside.

import { noAnswer, probe } from '../outbound/probe.ts'
import { isLoopback } from '../outbound/public-address.ts'
import { fault, nothing, type Observation, type Patient, warning } from './finding.ts'

const notices = '/webhooks/tiktok'

export async function examinePublicAddress({ config, isBad }: Patient): Promise<Observation> {
  if (isBad('PUBLIC_URL')) return nothing
  const { host, hostname } = new URL(config.publicUrl)
  const why = 'TikTok delivers its notices there, and people come back there from allowing the access.'
  const ask = (path: string) => probe({ url: new URL(path, config.publicUrl), method: 'GET', publicOnly: !isLoopback(hostname) })
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
