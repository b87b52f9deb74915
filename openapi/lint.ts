// What others' rules say about the descriptions, of the service and of the simulator's control API: Redocly's, Spectral's for OpenAPI, and IBM's. Every finding is mended or stands below with
// the reason why not; an exception that nothing needs any more is a finding, too.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import spectral, { type RulesetDefinition } from '@stoplight/spectral-core'
import parsers from '@stoplight/spectral-parsers'
import rulesets from '@stoplight/spectral-rulesets'
import { describeControl } from '../packages/tiktok-simulator/src/control-description.ts'

const documents = {
  service: () => readFile(join(import.meta.dirname, 'openapi.json'), 'utf8'),
  simulator: async () => JSON.stringify(describeControl('http://127.0.0.1:4500')),
}

/** Some rules look at where a document is from. */
const sourceOf = (of: string) => join(import.meta.dirname, `${of}.json`)

interface Finding {
  of: string
  rule: string
  /** a JSON pointer */
  at: string
  message: string
}

interface Exception {
  rules: string[]
  /** of one document only; of both unless given */
  of?: keyof typeof documents
  /** only there; everywhere unless given */
  at?: RegExp
  reason: string
}

const exceptions: Exception[] = [
  {
    rules: ['operation-4xx-response'],
    at: /^\/paths\/(~1_sim)?~1health/,
    reason: 'Probes are answered whoever asks and however often: there is nothing to refuse.',
  },
  {
    rules: ['operation-2xx-response', 'ibm-response-status-codes', 'ibm-request-and-response-content'],
    at: /^\/paths\/~1(authorize|callback|connect)\//,
    reason: 'Browsers are sent on: a redirect is the success of these, and it has no body.',
  },
  {
    rules: ['ibm-response-status-codes'],
    at: /\/422$/,
    reason: '400 is a request that does not fit its schema, 422 one that does and cannot be done. Callers rely on it.',
  },
  {
    rules: ['ibm-no-unsupported-keywords', 'ibm-schema-keywords', 'ibm-schema-type-format', 'ibm-avoid-inline-schemas'],
    reason: 'Written for 3.0: `webhooks`, `const`, `null` among types, `format: uri` are OpenAPI 3.1 or JSON Schema.',
  },
  {
    rules: ['ibm-no-nullable-properties'],
    reason: 'A field that has no value now is there and null, so that nobody has to tell it from a field they do not know yet.',
  },
  {
    rules: ['ibm-error-content-type-is-json', 'ibm-error-response-schemas'],
    reason: "Failures are problem+json (RFC 9457), not IBM's error container.",
  },
  {
    rules: [
      'ibm-collection-array-property',
      'ibm-enum-casing-convention',
      'ibm-operationid-casing-convention',
      'ibm-operationid-naming-convention',
      'ibm-pagination-style',
      'ibm-parameter-casing-convention',
      'ibm-path-segment-casing-convention',
      'ibm-schema-naming-convention',
    ],
    reason: "IBM's names for paths, pages, operations and values. Ours keep to one rule each, and callers rely on them.",
  },
  {
    rules: ['ibm-major-version-in-path'],
    reason: 'A new major version would be another host or prefix, which whoever runs the service decides (docs/versioning.md).',
  },
  {
    rules: ['ibm-array-attributes', 'ibm-string-attributes'],
    reason: 'Ids, codes and texts of answers are opaque and lists may grow: bounds there would be promises. What comes in has its bounds.',
  },
  {
    rules: ['ibm-integer-attributes'],
    reason: 'Bounds as above; and generators for JavaScript make a bigint of `format: int64`.',
  },
  {
    rules: ['ibm-avoid-repeating-path-parameters'],
    reason: 'Each operation is described by its own route, whole.',
  },
  {
    rules: ['ibm-success-response-example'],
    reason: 'The examples stand in the named schemas, once; our own test misses none.',
  },
  {
    rules: ['ibm-resource-response-consistency'],
    at: /connect-sessions/,
    reason: "Opening a session tells the link's secret, and reading it never does: two shapes.",
  },
  {
    rules: ['ibm-accept-and-return-models'],
    at: /NoticeTaken/,
    reason: 'TikTok wants an answer and reads nothing in it.',
  },
  {
    rules: ['ibm-use-date-based-format'],
    at: /AccountType\/properties\/wording$/,
    reason: 'A version that looks like a day, and is compared as a text.',
  },
  {
    rules: ['ibm-patch-request-content-type'],
    reason: 'The one PATCH sets one field from application/json, as every other body is.',
  },
  {
    rules: ['ibm-required-array-properties-in-response'],
    at: /Problem\/properties\/errors/,
    reason: 'Only a 400 has places that do not fit.',
  },
  {
    rules: ['ibm-well-defined-dictionaries', 'ibm-accept-and-return-models'],
    of: 'simulator',
    at: /(Description|Nothing|Fault(Script)?\/properties\/set)$/,
    reason: 'A document in a language of its own, an empty answer, and fields of any kind: a fault may say anything.',
  },
  {
    rules: ['ibm-use-date-based-format'],
    of: 'simulator',
    at: /create_time$/,
    reason: "TikTok's notices count seconds.",
  },
  {
    rules: ['ibm-required-enum-properties-in-response'],
    of: 'simulator',
    at: /Fault\/properties\/reset$/,
    reason: 'A fault comes back as it was scripted.',
  },
  {
    rules: ['ibm-no-array-responses'],
    of: 'simulator',
    at: /IssuedGrants$/,
    reason: 'Benchmarks read a crowd while it is made; the list has nothing else to say.',
  },
  {
    rules: ['ibm-property-casing-convention'],
    of: 'simulator',
    at: /ParameterError/,
    reason: "TikTok's name.",
  },
]

/** @returns what is wrong, a line each; '' when nothing is */
export async function lintDescription(): Promise<string> {
  const findings: Finding[] = []
  for (const [of, read] of Object.entries(documents)) {
    const text = await read()
    findings.push(...(await redocly(of, text)), ...(await spectralAndIbm(of, text)))
  }
  const used = new Set<Exception>()
  const rest = findings.filter(({ of, rule, at }) => {
    const excepted = exceptions.filter(
      (one) => one.rules.includes(rule) && (one.of ?? of) === of && (one.at?.test(at) ?? true),
    )
    for (const one of excepted) used.add(one)
    return excepted.length === 0
  })
  return [
    ...rest.map(({ of, rule, at, message }) => `${rule} at ${at} of the ${of}: ${message}`),
    ...exceptions
      .flatMap(({ rules, reason }) => rules.map((rule) => ({ rule, reason })))
      .filter(({ rule }) => !findings.some((finding) => finding.rule === rule))
      .map(({ rule, reason }) => `nothing needs the exception for ${rule} any more: ${reason}`),
    ...exceptions
      .filter((one) => !used.has(one) && one.rules.some((rule) => findings.some((finding) => finding.rule === rule)))
      .map(({ rules, reason }) => `nothing needs this exception for ${rules.join(', ')}: ${reason}`),
  ].join('\n')
}

async function redocly(of: string, source: string): Promise<Finding[]> {
  const config = await createConfig({ extends: ['recommended-strict'] })
  const problems = await lintFromString({ source, absoluteRef: sourceOf(of), config })
  return problems.map(({ ruleId, location: [place], message }) => ({
    of,
    rule: ruleId,
    at: (place?.pointer ?? '').replace(/^#/, ''),
    message,
  }))
}

/** Warnings and hints too: whatever a rule says counts. */
async function spectralAndIbm(of: string, source: string): Promise<Finding[]> {
  // Without types of its own. It builds upon `spectral:oas` and switches some of its rules off, which are switched on again here.
  const ibm = createRequire(import.meta.url)('@ibm-cloud/openapi-ruleset') as RulesetDefinition
  const linter = new spectral.Spectral()
  linter.setRuleset({ extends: [ibm, [rulesets.oas as RulesetDefinition, 'recommended']] })
  const results = await linter.run(new spectral.Document(source, parsers.Json, sourceOf(of)))
  return results.map(({ code, path, message }) => ({
    of,
    rule: String(code),
    at: path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    message,
  }))
}

if (import.meta.main) {
  const trouble = await lintDescription()
  console.log(trouble || 'nothing to mend')
  process.exitCode = trouble === '' ? 0 : 1
}
