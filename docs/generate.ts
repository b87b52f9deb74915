// `npm run docs`: writes every file that is made from the source, or only those named. `npm run check` compares instead.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { dashboardFile } from '../ops/grafana/dashboard.ts'
import { prometheusRuleFile } from '../ops/kubernetes/prometheus-rule.ts'
import { wireTypes } from '../packages/client/wire-types.ts'
import { evidenceTable } from '../packages/tiktok-simulator/src/evidence.ts'
import { openApiFile } from '../src/describe.ts'
import { createMetrics } from '../src/metrics.ts'
import { problemsFile } from '../src/pages/problems.ts'
import { envExample } from '../src/settings/variables.ts'
import { metricsFile } from './metrics.ts'

export const repository = join(import.meta.dirname, '..')

/** By path in the repository: what its text has to be. */
export const generated: Record<string, () => string | Promise<string>> = {
  'openapi/openapi.json': openApiFile,
  '.env.example': envExample,
  'docs/problems.md': problemsFile,
  'packages/client/src/wire.ts': async () => wireTypes(JSON.parse(await openApiFile())),
  'ops/grafana/dashboard.json': dashboardFile,
  'ops/kubernetes/monitoring/prometheus-rule.yaml': prometheusRuleFile,
  'docs/metrics.md': () => metricsFile(createMetrics().definitions),
  'docs/simulator.md': () => withTable('docs/simulator.md', 'evidence', evidenceTable()),
}

/** A page that people write, and in it, between `<!-- name -->` and `<!-- /name -->`, a table that is made. */
async function withTable(path: string, name: string, table: string): Promise<string> {
  const [open, close] = [`<!-- ${name} -->\n`, `\n<!-- /${name} -->`]
  const [before, rest = ''] = (await readFile(join(repository, path), 'utf8')).split(open)
  const after = rest.slice(rest.indexOf(close))
  if (!after.startsWith(close)) throw new Error(`${path} has lost the place of its table: ${open}`)
  return `${before}${open}\n${table}\n${after}`
}

if (import.meta.main) {
  const named = process.argv.slice(2)
  for (const [path, text] of Object.entries(generated)) {
    if (named.length > 0 && !named.includes(path)) continue
    await mkdir(dirname(join(repository, path)), { recursive: true })
    await writeFile(join(repository, path), await text())
    console.log(`${path} is written`)
  }
}
