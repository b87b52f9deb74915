// One call to somebody else's server to see whether it is there and how it answers, over a connection of its own that is gone afterwards;
// and in words, why there was no answer.
import { Agent } from 'undici'
import { type CallOutcome, type CallRequest, call } from './call.ts'
import { type ForwardProxy, wayOut } from './proxy.ts'
import { ProxyFailed } from './proxy-failed.ts'
import { AddressNotAllowed } from './public-address.ts'

export interface ProbeRequest extends Pick<CallRequest, 'url' | 'method' | 'headers' | 'form'> {
  /** a name that leads into a private network is not followed */
  publicOnly?: boolean
  proxy?: ForwardProxy | undefined
  timeoutMs?: number
}

const usualTimeoutMs = 4_000
const maxBytes = 256 * 1024

/** Never throws, and always ends by its deadline. */
export async function probe({
  publicOnly = false,
  proxy,
  timeoutMs = usualTimeoutMs,
  ...request
}: ProbeRequest): Promise<CallOutcome> {
  const agent = new Agent({
    connections: 1,
    pipelining: 1,
    allowH2: false,
    connect: wayOut(proxy, { timeout: timeoutMs - 500, publicOnly }),
  })
  try {
    return await call(agent, { ...request, maxBytes, totalMs: timeoutMs })
  } finally {
    agent.destroy().catch(() => {})
  }
}

/** Why a call has no answer: what is so, and what to do. */
export interface NoAnswer {
  what: string
  remedy: string
}

/** @param where as it may be shown: a host and its port */
export function noAnswer(outcome: Exclude<CallOutcome, { kind: 'answered' }>, where: string): NoAnswer {
  if (outcome.kind === 'broken') {
    if (outcome.reason === 'timeout')
      return {
        what: `${where} takes a request and does not answer in time.`,
        remedy: 'Look into its log, and at what stands between.',
      }
    if (outcome.reason === 'too_large')
      return { what: `${where} answers with far too much.`, remedy: 'Correct the address: it is that of a page.' }
    return {
      what: `${where} breaks off its answer (${outcome.reason}).`,
      remedy: 'Look into its log; what listens there may not speak HTTP.',
    }
  }
  const code = codeOf(outcome.cause)
  if (outcome.cause instanceof AddressNotAllowed)
    return {
      what: `${where} resolves to an address inside a private network.`,
      remedy: 'Use a public name: the service sends nothing to private addresses.',
    }
  if (outcome.cause instanceof ProxyFailed)
    return {
      what: `The proxy of HTTPS_PROXY ${outcome.cause.what} when it is asked for ${where}.`,
      remedy: 'Correct HTTPS_PROXY, have the proxy let it through, or name its host in NO_PROXY if it is reached directly.',
    }
  if (outcome.reason === 'dns')
    return {
      what: `The host of ${where} is not known.`,
      remedy: 'Correct its name, or the DNS of this machine (`getent hosts NAME`).',
    }
  if (outcome.reason === 'refused') return { what: `Nothing listens at ${where}.`, remedy: 'Start it, or correct the address.' }
  if (outcome.reason === 'connect_timeout' || outcome.reason === 'no_free_connection')
    return {
      what: `${where} does not answer.`,
      remedy: 'Look at the address, and at the firewall between; where only a proxy leads out, name it in HTTPS_PROXY.',
    }
  const tls = certificateTroubles[code]
  if (tls) return { what: `${tls.what.replace('{where}', where)}`, remedy: tls.remedy }
  if (outcome.reason === 'tls' || /SSL|EPROTO/.test(code))
    return {
      what: `TLS with ${where} cannot be agreed upon.`,
      remedy: 'Write http:// if it speaks plain HTTP and is on loopback, or look at its certificate.',
    }
  return {
    what: `${where} cannot be reached${code === '' ? '' : ` (${code})`}.`,
    remedy: 'Look at the address, and at what stands between.',
  }
}

const unknownAuthority: NoAnswer = {
  what: 'The certificate of {where} is of an authority that is not known here.',
  remedy: 'Start with NODE_EXTRA_CA_CERTS=FILE, where FILE is the PEM of that authority, or have the whole chain served.',
}
const certificateTroubles: Record<string, NoAnswer> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  ERR_TLS_CERT_ALTNAME_INVALID: {
    what: 'The certificate of {where} is for another name.',
    remedy: 'Use a name that it bears, or have one made for this name.',
  },
  CERT_HAS_EXPIRED: {
    what: 'The certificate of {where} has expired.',
    remedy: "Renew it, or set this machine's clock, if that is what is wrong.",
  },
  CERT_NOT_YET_VALID: {
    what: 'The certificate of {where} is not valid yet.',
    remedy: "Set this machine's clock, or wait.",
  },
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
