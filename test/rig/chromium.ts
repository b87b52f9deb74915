// A Chromium out of an npm package, with every library and font it needs: nothing has to be installed on the machine. Unpacked once and kept beside
// node_modules, where the next install throws it away.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Browser, chromium } from 'playwright-core'

const project = join(import.meta.dirname, '../..')

/** Why there is no browser on this machine, if so: the package holds a Chromium for Linux on x64 only. There it has to start, or the tests fail. */
export const noChromium: string | false =
  process.platform === 'linux' && process.arch === 'x64'
    ? false
    : `NOT RUN: @sparticuz/chromium has no Chromium for ${process.platform} on ${process.arch}; run the browser tests on Linux x64`

export async function startChromium(t: { teardown(work: () => unknown): unknown }): Promise<Browser> {
  const home = await unpacked()
  const browser = await chromium.launch({
    executablePath: join(home, 'chromium'),
    args: ['--no-sandbox'], // containers run as root, where Chromium refuses its sandbox; it visits this test's own servers only
    env: { ...env(), LD_LIBRARY_PATH: join(home, 'al2023/lib'), FONTCONFIG_PATH: join(home, 'fonts') },
  })
  t.teardown(() => browser.close())
  return browser
}

async function unpacked(): Promise<string> {
  const manifest = await readFile(join(project, 'node_modules/@sparticuz/chromium/package.json'), 'utf8')
  const cache = join(project, 'node_modules/.cache')
  const home = join(cache, `chromium-${JSON.parse(manifest).version}`)
  if (existsSync(home)) return home

  await mkdir(cache, { recursive: true })
  const staging = await mkdtemp(join(cache, 'chromium-'))
  // In a process of its own, whose temporary directory is ours: the package unpacks to the common one and takes whatever lies there for whole. Its
  // libraries come along only where it believes itself in a Lambda.
  const script = "const { default: chromium } = await import('@sparticuz/chromium'); await chromium.executablePath()"
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: project,
    env: { ...env(), TMPDIR: staging, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs22.x' },
  })
  await writeFile(
    join(staging, 'fonts/fonts.conf'),
    `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>${home}/fonts</dir><dir>/usr/share/fonts</dir><cachedir>${home}/fonts-cache</cachedir></fontconfig>`,
  )
  // Whole or not at all; of two test files at once, one is second and finds it done.
  await rename(staging, home).catch(() => rm(staging, { recursive: true }))
  return home
}

/** Without the test runner's own loaders. */
function env(): Record<string, string> {
  const { NODE_OPTIONS: _, ...rest } = process.env
  return Object.fromEntries(Object.entries(rest).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
