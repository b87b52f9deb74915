// `npm run docs`: writes every file that is made from the source, or only those named. `npm run check` compares instead.
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { dashboardFile } from '../ops/grafana/dashboard.ts'
import { prometheusRuleFile } from '../ops/kubernetes/prometheus-rule.ts'
import { wireTypes } from '../packages/client/wire-types.ts'
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
