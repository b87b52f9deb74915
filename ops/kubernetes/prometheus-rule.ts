// The alerts as the Prometheus operator takes them: the same text, two steps further in. `npm run docs` writes monitoring/prometheus-rule.yaml.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const head = `# Generated from ops/prometheus/rules.yaml: \`npm run docs\`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: tiktok-oauth
spec:
`

/** @returns the text of ops/kubernetes/monitoring/prometheus-rule.yaml */
export async function prometheusRuleFile(): Promise<string> {
  const rules = await readFile(join(import.meta.dirname, '../prometheus/rules.yaml'), 'utf8')
  return head + rules.slice(rules.indexOf('groups:')).replace(/^(?=.)/gm, '  ')
}
