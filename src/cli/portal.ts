// `portal`: what to enter into each field of TikTok's developer portal. It reads the configuration and nothing else.

import { readPatient } from '../doctor/examine.ts'
import { portalFields } from '../doctor/portal.ts'
import { takeEnvFile } from '../settings/env-file.ts'
import { nothingMore, parse, print, say, Unfinished } from './terminal.ts'

/** @throws Unfinished when something is missing, which is printed in its place */
export async function portal(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, { json: { type: 'boolean', default: false } })
  nothingMore(positionals)
  const { patient, problems } = readPatient(process.env, takeEnvFile())
  const fields = portalFields(patient)
  const missing = fields.filter((field) => field.missing !== undefined)
  if (values.json) print(JSON.stringify({ complete: missing.length === 0, fields }, null, 2))
  else {
    let section = ''
    for (const field of fields) {
      if (field.section !== section) print(`${section === '' ? '' : '\n'}${field.section}`)
      section = field.section
      print(`  ${field.field}`)
      for (const text of field.enter) print(`    → ${text}`)
      if (field.missing !== undefined) print(`    ✗ ${field.missing}`)
      if (field.note !== undefined) print(`    ${field.note}`)
    }
    if (missing.length > 0) say(`\nNot complete (✗): ${missing.map(({ field }) => field).join(', ')}`)
  }
  if (problems.length > 0) say('The configuration has mistakes: `doctor` names them.')
  if (missing.length > 0) throw new Unfinished()
}
