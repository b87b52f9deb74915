// For each generator: how it is asked, with its default settings, and a program that somebody would write with what it makes. The program
// reserves an upload twice with one key and tells events apart; that it compiles says that they narrow on their `type`.

export interface Generator {
  name: string
  /** the program to run in the folder, and its arguments; it writes into `api/` */
  command: [program: string, ...args: string[]]
  /** what it reads besides, by name */
  files?: Record<string, string>
  /** the source of a program; URL, KEY, ACCOUNT and JOB come with the environment, and it prints the two ids */
  program: string
}

const surroundings = `
declare const process: { env: Record<string, string> }
const { URL: url = '', KEY: key = '', ACCOUNT: account = '', JOB: job = '' } = process.env
const print = (...said: unknown[]) => console.log(JSON.stringify(said))
`

/** Would not compile if an event's \`data\` were not known by its \`type\`. */
const tellApart = (event: string) => `
function reasonOf(event: ${event}): string | null {
  switch (event.type) {
    case 'account.connected':
      return event.data.connect_session_id
    case 'account.disconnected':
      return event.data.reason
    case 'upload_quota.exhausted':
      return event.data.next_slot_at
    default:
      return null
  }
}
`

export const generators: Generator[] = [
  {
    name: 'openapi-typescript',
    command: ['openapi-typescript', 'openapi.json', '-o', 'api/api.ts'],
    program: `import createClient from 'openapi-fetch'
import type { components, paths } from './api/api.ts'
${surroundings}${tellApart("components['schemas']['ServiceEvent']")}
const client = createClient<paths>({ baseUrl: url, headers: { authorization: \`Bearer \${key}\` } })
const reserve = async () => {
  const { data, error } = await client.POST('/accounts/{account_id}/uploads', {
    params: { path: { account_id: account }, header: { 'idempotency-key': job } },
    body: { ttl_seconds: 600 },
  })
  if (!data) throw new Error(error.code)
  return data.id
}
const { data: page } = await client.GET('/events', { params: { query: { type: ['account.connected'] } } })
print(await reserve(), await reserve(), page?.events.map(reasonOf))
`,
  },
  {
    name: '@hey-api/openapi-ts',
    command: ['openapi-ts', '-i', 'openapi.json', '-o', 'api'],
    program: `import { listEvents, reserveUpload, type ServiceEvent } from './api'
import { client } from './api/client.gen'
${surroundings}${tellApart('ServiceEvent')}
client.setConfig({ baseUrl: url, auth: key })
const reserve = async () => {
  const { data, error } = await reserveUpload({
    path: { account_id: account },
    headers: { 'idempotency-key': job },
    body: { ttl_seconds: 600 },
  })
  if (!data) throw new Error(error?.code)
  return data.id
}
const { data: page } = await listEvents({ query: { type: ['account.connected'] } })
print(await reserve(), await reserve(), page?.events.map(reasonOf))
`,
  },
  {
    name: 'orval',
    command: ['orval', '--input', 'openapi.json', '--output', 'api/api.ts'],
    program: `import axios from 'axios'
import { listEvents, reserveUpload, type ServiceEvent } from './api/api'
${surroundings}${tellApart('ServiceEvent')}
axios.defaults.baseURL = url
axios.defaults.headers.common.authorization = \`Bearer \${key}\`
const reserve = async () => (await reserveUpload(account, { ttl_seconds: 600, idempotency_key: job })).data.id
const { data: page } = await listEvents({ limit: 10 })
print(await reserve(), await reserve(), page.events.map(reasonOf))
`,
  },
  {
    name: 'kubb',
    command: ['kubb', 'generate', '--config', 'kubb.config.mjs'],
    files: {
      'kubb.config.mjs': `import { defineConfig } from '@kubb/core'
import { pluginClient } from '@kubb/plugin-client'
import { pluginOas } from '@kubb/plugin-oas'
import { pluginTs } from '@kubb/plugin-ts'
export default defineConfig({
  root: '.',
  input: { path: './openapi.json' },
  output: { path: './api' },
  plugins: [pluginOas(), pluginTs(), pluginClient()],
})
`,
    },
    program: `import { setConfig } from '@kubb/plugin-client/clients/axios'
import { listEvents, reserveUpload, type ServiceEvent } from './api'
${surroundings}${tellApart('ServiceEvent')}
setConfig({ baseURL: url, headers: { authorization: \`Bearer \${key}\` } })
const reserve = async () => (await reserveUpload(account, { ttl_seconds: 600 }, { 'idempotency-key': job })).id
const page = await listEvents({ limit: 10 })
print(await reserve(), await reserve(), page.events.map(reasonOf))
`,
  },
  {
    name: 'oazapfts',
    command: ['oazapfts', 'openapi.json', 'api/api.ts'],
    program: `import { defaults, listEvents, reserveUpload, type ServiceEvent } from './api/api'
${surroundings}${tellApart('ServiceEvent')}
defaults.baseUrl = url
defaults.headers = { authorization: \`Bearer \${key}\` }
const reserve = async () => {
  const answer = await reserveUpload(account, { ttl_seconds: 600 }, { idempotencyKey: job })
  if (answer.status !== 200 && answer.status !== 201) throw new Error(answer.data.code)
  return answer.data.id
}
const answer = await listEvents({ $type: ['account.connected'] })
print(await reserve(), await reserve(), answer.status === 200 && answer.data.events.map(reasonOf))
`,
  },
  {
    name: 'swagger-typescript-api',
    command: ['swagger-typescript-api', 'generate', '-p', 'openapi.json', '-o', 'api'],
    program: `import { Api, type ServiceEvent } from './api/Api'
${surroundings}${tellApart('ServiceEvent')}
const api = new Api({ baseUrl: url, baseApiParams: { headers: { authorization: \`Bearer \${key}\` } } })
const reserve = async () => (await api.accounts.reserveUpload(account, { ttl_seconds: 600, idempotency_key: job })).data.id
const { data: page } = await api.events.listEvents({ limit: 10 })
print(await reserve(), await reserve(), page.events.map(reasonOf))
`,
  },
]
