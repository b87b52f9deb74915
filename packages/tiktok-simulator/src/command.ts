/** The simulator as a program of its own, for anyone whose tests are not in this repository or this language. */
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { NewApp } from './apps.ts'
import { whyRefused } from './as-tiktok.ts'
import { SettingsChange } from './control-description.ts'
import { type Simulator, startSimulator } from './server.ts'
import { defaultSettings, type Lifetimes, type Scope, type Settings } from './settings.ts'

const usage = `tiktok-simulator: TikTok's login, token endpoint, user info, posting and webhooks, offline

  --port N              4500; 0 takes any free port
  --host ADDRESS        127.0.0.1
  --public-url URL      where others reach it, such as https://tiktok.example.com behind a proxy: all its links lead there
  --client-key KEY      ${defaultSettings.client_key}
  --client-secret TEXT  ${defaultSettings.client_secret}
  --app-name TEXT       as the consent page names the app
  --lifetimes A/R       access and refresh token: 2h/180d (default), 24h/365d, or any such as 90s/1h
  --redirect-uri URI    registered redirect URI, may be repeated; any is accepted without it
  --app-scopes LIST     scopes enabled on the app, with commas; all without it. A new app of TikTok's has no user.info.profile or .stats
  --scope-refusal HOW   page (default): another scope ends on TikTok's own page; callback: the app hears invalid_scope
  --pkce MODE           what the app demands: off (default), s256, s256-hex
  --app JSON            another app, may be repeated: '{"developer":"default","client_key":"sbmine","sandbox_targets":["mara"]}'
  --settings JSON       any others, as POST /_sim/settings takes them: '{"rotation":"overlap"}'
  --webhook-url URL     where TikTok's notices go
  --latency-ms N        answer this much later
  --as-tiktok           also as www.tiktok.com, open.tiktokapis.com and so on: a proxy and TLS, with the lines to start a client with
  --tls-port N          where TLS is spoken without the proxy; 443 serves a hosts file; any free port without it
  --ca-file FILE        where the certificate to trust is written; a file of its own without it
  --allow-host HOST     the proxy lets this host through, may be repeated; without it nothing leaves the machine
  --control-token TEXT  bearer token that /_sim asks for; open without it
  --state FILE          grants outlive the process in it; without it everything is forgotten
  --help

tiktok-simulator probe --help: ask the real TikTok how it answers what its documentation leaves open
`

const options = {
  port: { type: 'string', default: '4500' },
  host: { type: 'string' },
  'public-url': { type: 'string' },
  'client-key': { type: 'string' },
  'client-secret': { type: 'string' },
  'app-name': { type: 'string' },
  lifetimes: { type: 'string' },
  'redirect-uri': { type: 'string', multiple: true },
  'app-scopes': { type: 'string' },
  'scope-refusal': { type: 'string' },
  pkce: { type: 'string' },
  settings: { type: 'string', default: '{}' },
  app: { type: 'string', multiple: true },
  'webhook-url': { type: 'string' },
  'latency-ms': { type: 'string', default: '0' },
  'as-tiktok': { type: 'boolean', default: false },
  'tls-port': { type: 'string', default: '0' },
  'ca-file': { type: 'string' },
  'allow-host': { type: 'string', multiple: true },
  'control-token': { type: 'string' },
  state: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const

const noSuchHost = '--host is not an address of this machine: take one that is, such as 127.0.0.1.'

const remedies: Record<string, string> = {
  EADDRINUSE: '--host and --port name a place where another process listens: stop that process, or choose another --port.',
  EADDRNOTAVAIL: noSuchHost,
  EACCES: '--port is one that this user may not listen on: choose one from 1024 up.',
  ENOTFOUND: noSuchHost,
  EAI_AGAIN: noSuchHost,
}

/**
 * Runs until SIGINT or SIGTERM.
 *
 * @param argv what follows the command's name
 * @throws TypeError for an unknown option, Error for a value that does not fit
 */
export async function runSimulator(argv: string[]): Promise<void> {
  if (argv[0] === 'probe') {
    const { runProbe } = await import('./probe/command.ts')
    return runProbe(argv.slice(1))
  }
  const { values } = parseArgs({ args: argv, options })
  if (values.help) {
    process.stdout.write(usage)
    return
  }
  const appName = values['app-name']
  const simulator = await startSimulator({
    host: values.host,
    port: Number(values.port),
    publicUrl: values['public-url'],
    clientKey: values['client-key'],
    clientSecret: values['client-secret'],
    // Checked, with all the other settings, by their schema.
    lifetimes: values.lifetimes as Lifetimes | undefined,
    pkce: values.pkce as Settings['pkce'] | undefined,
    redirectUris: values['redirect-uri'],
    webhookUrl: values['webhook-url'],
    latencyMs: Number(values['latency-ms']),
    controlToken: values['control-token'],
    stateFile: values.state,
    apps: values.app?.map((text) => parsed('--app', NewApp, text)),
    ...(values['as-tiktok'] && {
      asTikTok: { tlsPort: Number(values['tls-port']), allowHosts: values['allow-host'], onRefused: toldOnce() },
    }),
    settings: {
      ...parsed('--settings', SettingsChange, values.settings),
      ...(appName !== undefined && { app_name: appName }),
      ...(values['app-scopes'] !== undefined && { app_scopes: values['app-scopes'].split(',') as Scope[] }),
      ...(values['scope-refusal'] !== undefined && { scope_refusal: values['scope-refusal'] as Settings['scope_refusal'] }),
    },
  }).catch((error: unknown) => {
    if (error instanceof z.ZodError) throw new Error(z.prettifyError(error), { cause: error })
    const { code = '', syscall = '' } = error as NodeJS.ErrnoException
    const remedy = syscall === 'listen' || syscall === 'getaddrinfo' ? remedies[code] : undefined
    throw remedy === undefined ? error : new Error(remedy, { cause: error })
  })
  const certificate = simulator.asTikTok && keepCertificate(simulator.asTikTok.authority, values['ca-file'])
  process.stdout.write(greeting(simulator))
  if (simulator.asTikTok && certificate)
    process.stdout.write(linesAsTikTok(simulator.localUrl, simulator.asTikTok.tlsPort, certificate.file))

  await new Promise<void>((stop) => {
    process.once('SIGINT', stop)
    process.once('SIGTERM', stop)
  })
  certificate?.forget()
  await simulator.close()
}

function parsed<Schema extends z.ZodType>(option: string, schema: Schema, text: string): z.output<Schema> {
  try {
    return schema.parse(JSON.parse(text))
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : 'it is not JSON'
    throw new Error(`${option} does not fit: ${why}`, { cause: error })
  }
}

/** @returns where it is, and how to be rid of it if nobody chose the place */
function keepCertificate(authority: string, chosen: string | undefined): { file: string; forget(): void } {
  const folder = chosen === undefined ? mkdtempSync(join(tmpdir(), 'tiktok-simulator-')) : undefined
  const file = folder === undefined ? resolve(chosen ?? '') : join(folder, 'ca.pem')
  writeFileSync(file, authority)
  return {
    file,
    forget() {
      if (folder === undefined) return
      rmSync(file, { force: true })
      rmdirSync(folder)
    },
  }
}

/** A client that tries forever should not fill the screen. */
function toldOnce(): (host: string) => void {
  const told = new Set<string>()
  return (host) => {
    if (told.size < 100 && !told.has(host)) process.stderr.write(`refused ${host}. ${whyRefused(host.replace(/:\d+$/, ''))}\n`)
    told.add(host)
  }
}

function linesAsTikTok(proxy: string, tlsPort: number, file: string): string {
  const direct = `${new URL(proxy).hostname}:${tlsPort}`
  const through = `HTTPS_PROXY=${proxy} NO_PROXY=localhost,127.0.0.1`
  return `As TikTok itself, for clients that have its hosts built in; the certificate to trust is in ${file}

  Node 24    NODE_USE_ENV_PROXY=1 ${through} NODE_EXTRA_CA_CERTS=${file} node app.js
  any Node   TIKTOK_SIMULATOR=${direct} NODE_EXTRA_CA_CERTS=${file} node --import tiktok-simulator/preload app.js
  Python     ${through} SSL_CERT_FILE=${file} REQUESTS_CA_BUNDLE=${file} python3 app.py
  PHP        ${through} php -d curl.cainfo=${file} -d openssl.cafile=${file} app.php
  curl       curl --proxy ${proxy} --cacert ${file} 'https://open.tiktokapis.com/v2/user/info/?fields=open_id'

`
}

function greeting({ url, localUrl, clientKey, clientSecret, apps }: Simulator): string {
  const redirectUri = encodeURIComponent('http://127.0.0.1:3000/callback')
  const query = `client_key=${clientKey}&response_type=code&scope=user.info.basic,video.upload&redirect_uri=${redirectUri}&state=abc`
  const [, ...others] = apps()
  return `TikTok simulator at ${url}${url === localUrl ? '' : `, listening at ${localUrl}`}

  TIKTOK_AUTH_BASE_URL=${url}
  TIKTOK_API_BASE_URL=${url}
  TIKTOK_CLIENT_KEY=${clientKey}
  TIKTOK_CLIENT_SECRET=${clientSecret}
${others.map((app) => `\nAnother app, with /_sim/apps/${app.clientKey}/ as its control: key ${app.clientKey}, secret ${app.clientSecret}\n`).join('')}
People and what they connected: ${url}/
Each request, what TikTok says to it and why: ${url}/_sim/inspector
Try it without a browser; the answer says where TikTok would send Mara's:

  curl -s ${url}/_sim/authorize -H 'content-type: application/json' -d '{"person":"mara","authorize_url":"${url}/v2/auth/authorize/?${query}"}'

`
}
