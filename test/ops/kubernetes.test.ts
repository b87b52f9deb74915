// The manifests: each is what Kubernetes' API takes, without a field that it would drop, and they fit each other, the image and the variables.
import { execFile, execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule'
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor'
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet'
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler'
import { Job } from 'kubernetes-models/batch/v1/Job'
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1/Ingress'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget'
import { Namespace } from 'kubernetes-models/v1/Namespace'
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec'
import { Service } from 'kubernetes-models/v1/Service'
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { families } from '../../src/cli/commands.ts'
import { loadConfig } from '../../src/settings/config.ts'
import { variables } from '../../src/settings/variables.ts'
import { generateVaultKey } from '../../src/vault/keyring.ts'
import { ownFolder } from '../folder.ts'

const root = join(import.meta.dirname, '../..')
const manifests = join(root, 'ops/kubernetes')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

interface Kustomization {
  resources?: string[]
  components?: string[]
  configMapGenerator?: { name: string; literals?: string[] }[]
  secretGenerator?: { name: string; files: string[] }[]
}
const folders = ['base', 'monitoring', 'overlays/example']
const kustomizations = folders.map((folder) => ({
  folder,
  ...(parse(readFileSync(join(manifests, folder, 'kustomization.yaml'), 'utf8')) as Kustomization),
}))
const files = kustomizations.flatMap(({ folder, resources = [] }) =>
  resources.filter((name) => name.endsWith('.yaml')).map((name) => join(folder, name)),
)
const documents = files.flatMap((file) =>
  parseAllDocuments(readFileSync(join(manifests, file), 'utf8')).map((document) => ({ file, text: document.toJS() })),
)

const kinds = {
  ...{ HorizontalPodAutoscaler, Ingress, Job, Namespace, NetworkPolicy, PodDisruptionBudget, PrometheusRule, Service },
  ...{ ServiceAccount, ServiceMonitor, StatefulSet },
}
const all = <K extends keyof typeof kinds>(kind: K) =>
  documents.filter(({ text }) => text.kind === kind).map(({ text }) => new kinds[kind](text) as InstanceType<(typeof kinds)[K]>)
const only = <K extends keyof typeof kinds>(kind: K) => {
  const [first] = all(kind)
  if (!first) throw new Error(`there is no ${kind}`)
  return first
}
const without = (() => {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' })
    return {}
  } catch {
    return { skip: 'kubectl is not installed' }
  }
})()

/** @throws what the API's schema says against it. @returns the fields that no schema looked at: the API would drop them without a word */
function unread(text: { kind: string; apiVersion: string }): string[] {
  const model = Object.values(kinds).find(({ kind, apiVersion }) => kind === text.kind && apiVersion === text.apiVersion)
  if (!model) throw new Error(`there is no schema for ${text.apiVersion} ${text.kind}`)
  const known = new Set<string>()
  const watch = <T>(value: T, place: string): T => {
    if (typeof value !== 'object' || value === null) return value
    return new Proxy(value, {
      get: (target, name) => {
        known.add(`${place}/${String(name)}`)
        return watch(Reflect.get(target, name), `${place}/${String(name)}`)
      },
    })
  }
  const placesIn = (value: unknown, place: string): string[] =>
    typeof value !== 'object' || value === null
      ? []
      : Object.entries(value).flatMap(([name, inner]) => [`${place}/${name}`, ...placesIn(inner, `${place}/${name}`)])
  const manifest: { validate(): void } = Object.assign(Reflect.construct(model, []), text)
  manifest.validate.call(watch(manifest, ''))
  return placesIn(text, '').filter((place) => !known.has(place))
}

t.test('kustomize finds every file, and every file is found', async (t) => {
  for (const { folder, resources = [], components = [] } of kustomizations) {
    const here = readdirSync(join(manifests, folder)).filter((name) => name.endsWith('.yaml') && name !== 'kustomization.yaml')
    t.strictSame(resources.filter((name) => name.endsWith('.yaml')).toSorted(), here.toSorted(), folder)
    for (const other of [...resources, ...components].filter((name) => !name.endsWith('.yaml')))
      t.ok(folders.includes(join(folder, other)), other)
  }
})

t.test('each manifest is what the API takes, and nothing in it would be dropped', async (t) => {
  for (const { file, text } of documents) t.strictSame(unread(text), [], file)
  const misspelt = only('StatefulSet')
  const [container] = podOf(misspelt).containers
  Object.assign(container ?? {}, { readinesProbe: container?.readinessProbe })
  t.strictSame(unread({ ...misspelt })[0], '/spec/template/spec/containers/0/readinesProbe')
})

const podOf = ({ spec }: StatefulSet | Job): IPodSpec => spec?.template.spec ?? { containers: [] }
/** The replicas first; then what runs as the owner of the tables. */
const workloads = () => [...all('StatefulSet'), only('Job')]
const isService = ({ metadata }: StatefulSet | Job) => metadata?.name === 'tiktok-oauth'
/** What a ConfigMap holds: the base's, and over it the example's. */
const literals = (name: string) =>
  Object.fromEntries(
    kustomizations
      .flatMap(({ configMapGenerator = [] }) => configMapGenerator)
      .filter((one) => one.name === name)
      .flatMap(({ literals = [] }) => literals)
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )

t.test('the example starts: its variables are those of the service, its secrets are where they are looked for', async (t) => {
  const folder = await ownFolder(t, 'secrets')
  const contents: Record<string, string> = { VAULT_KEYS: generateVaultKey(), TIKTOK_CLIENT_SECRET: 'J8s0dk2LQmz7Wx91PvbnT4Rc' }
  for (const workload of workloads()) {
    const pod = podOf(workload)
    const { env = [], envFrom = [], volumeMounts = [] } = pod.containers[0] ?? { name: '' }
    const given = {
      ...Object.assign({}, ...envFrom.map(({ configMapRef }) => literals(configMapRef?.name ?? ''))),
      ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
    } as Record<string, string>
    t.strictSame(
      Object.keys(given).filter((name) => !(name in variables.shape)),
      [],
    )
    for (const volume of pod.volumes ?? []) {
      const generated = kustomizations.flatMap(({ secretGenerator = [] }) => secretGenerator)
      const secret = generated.find(({ name }) => name === volume.secret?.secretName)
      const mounted = volumeMounts.find(({ name }) => name === volume.name)?.mountPath ?? ''
      for (const file of secret?.files ?? []) {
        const name = file.split('=')[0]?.replace('secrets/', '') ?? ''
        mkdirSync(join(folder, mounted), { recursive: true })
        writeFileSync(join(folder, mounted, name), contents[name] ?? 'anything')
      }
      t.equal(volume.secret?.defaultMode, 0o440, 'for the group of the process, and nobody else')
    }
    const here = Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, value.replace('/run/secrets', join(folder, '/run/secrets'))]),
    )
    const forCommands = { TIKTOK_CLIENT_KEY: 'not-needed', TIKTOK_CLIENT_SECRET: 'not-needed-here', VAULT_KEYS: 'not-needed' }
    const needed = workload.kind === 'Job' ? forCommands : { HOST: '0.0.0.0' } // the image's
    const config = loadConfig({ ...here, ...needed })
    t.equal(config.databaseAccess.password, 'anything')
    t.equal(new URL(config.databaseUrl ?? '').username, isService(workload) ? 'tiktok_oauth_service' : 'tiktok_oauth')
  }
})

t.test('nothing runs with more than the restricted standard allows, and nothing writes outside its volume', async (t) => {
  for (const workload of workloads()) {
    const pod = podOf(workload)
    t.match(pod.securityContext, {
      runAsNonRoot: true,
      runAsUser: 1000,
      fsGroup: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    t.equal(pod.automountServiceAccountToken, false)
    for (const { securityContext, resources } of pod.containers) {
      t.match(securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } })
      t.ok(resources?.requests?.memory && resources.limits?.memory)
    }
  }
  t.match(read('Dockerfile'), /^USER 1000/m)
})

t.test('labels find pods, names find ports, probes find routes', async (t) => {
  const replicas = only('StatefulSet')
  const labels = replicas.spec?.template.metadata?.labels ?? {}
  const [service] = podOf(replicas).containers
  const ports = new Map(service?.ports?.map(({ name, containerPort }) => [name, containerPort]))
  const defaults = loadConfig({ TIKTOK_CLIENT_KEY: 'awsettings1', TIKTOK_CLIENT_SECRET: 'J8s0dk2LQmz7Wx91PvbnT4Rc' })
  t.equal(ports.get('http'), defaults.port)
  t.match(read('Dockerfile'), new RegExp(`^EXPOSE ${defaults.port}$`, 'm'))
  t.equal(String(ports.get('metrics')), literals('tiktok-oauth').METRICS_PORT)
  t.match(literals('tiktok-oauth').JOURNAL_DIR, service?.volumeMounts?.find(({ name }) => name === 'journal')?.mountPath)

  for (const { spec } of all('StatefulSet')) t.match(spec?.template.metadata?.labels, spec?.selector.matchLabels)
  t.match(labels, only('PodDisruptionBudget').spec?.selector?.matchLabels)
  const [inwards, outwards] = all('NetworkPolicy').map(({ spec }) => spec?.podSelector?.matchLabels)
  t.match(labels, inwards)
  for (const { spec } of workloads()) t.match(spec?.template.metadata?.labels, outwards)
  const services = new Map(all('Service').map((one) => [one.metadata?.name, one]))
  for (const { spec } of services.values()) {
    t.match(labels, spec?.selector)
    for (const { targetPort } of spec?.ports ?? []) t.ok(ports.has(String(targetPort)))
  }
  t.ok(services.has(replicas.spec?.serviceName))
  t.match(only('HorizontalPodAutoscaler').spec?.scaleTargetRef, { kind: replicas.kind, name: replicas.metadata?.name })

  const { selector, endpoints } = only('ServiceMonitor').spec ?? {}
  const watched = [...services.values()].filter(
    ({ metadata }) =>
      metadata?.labels?.['app.kubernetes.io/component'] === selector?.matchLabels?.['app.kubernetes.io/component'],
  )
  t.strictSame(
    watched.map(({ spec }) => [spec?.publishNotReadyAddresses, spec?.ports?.[0]?.name]),
    [[true, endpoints?.[0]?.port]],
  )
  const [rule] = only('Ingress').spec?.rules ?? []
  const behind = rule?.http?.paths[0]?.backend.service
  t.ok(services.get(behind?.name)?.spec?.ports?.some(({ name }) => name === behind?.port?.name))
  t.equal(`https://${rule?.host}`, literals('tiktok-oauth').PUBLIC_URL)

  const { paths } = JSON.parse(read('openapi/openapi.json'))
  for (const probe of [service?.startupProbe, service?.readinessProbe, service?.livenessProbe]) {
    t.ok(paths[probe?.httpGet?.path ?? '']?.get)
    t.ok(ports.has(String(probe?.httpGet?.port)))
  }
})

t.test('there is time to end, there are connections for all, and the commands of the migration exist', async (t) => {
  const [, graceMs = ''] = /const graceMs = (\d+_\d+)/.exec(read('src/main.ts')) ?? []
  const delaySeconds = Number(literals('tiktok-oauth').SHUTDOWN_DELAY_SECONDS)
  t.ok((podOf(only('StatefulSet')).terminationGracePeriodSeconds ?? 0) > delaySeconds + Number(graceMs.replace('_', '')) / 1000)
  t.ok((only('HorizontalPodAutoscaler').spec?.maxReplicas ?? 0) * variables.shape.DATABASE_POOL_SIZE.parse(undefined) < 97)
  const commands = [...(podOf(only('Job')).containers[0]?.command?.at(-1) ?? '').matchAll(/cli\.ts (\S+)/g)].map(
    ([, name]) => name,
  )
  t.strictSame(commands, ['migrate', 'roles'])
  for (const name of commands) t.ok(Object.hasOwn(families, name ?? ''))
})

t.test('kubectl builds the example, once its secrets are there', without, async (t) => {
  const folder = await ownFolder(t, 'kustomize')
  cpSync(manifests, folder, { recursive: true })
  const example = join(folder, 'overlays/example')
  const build = () => promisify(execFile)('kubectl', ['kustomize', example]).catch((error) => error)
  t.match(await build(), { stderr: /secrets\// }, 'it says which is missing')
  mkdirSync(join(example, 'secrets'), { recursive: true })
  for (const { files } of kustomizations.flatMap(({ secretGenerator = [] }) => secretGenerator))
    for (const file of files) writeFileSync(join(example, file.split('=').at(-1) ?? ''), 'anything')
  const { stdout } = await build()
  const built = parseAllDocuments(stdout).map((document) => document.toJS())
  t.equal(built.length, documents.length + 4, 'and two ConfigMaps and two Secrets')
  for (const text of built) if (!/^(ConfigMap|Secret)$/.test(text.kind)) t.strictSame(unread(text), [], text.kind)
  t.notMatch(stdout, /image: tiktok-oauth-service/)
})
