// Callers and people at a steady pace, by one door: tokens are read and refreshed, upload slots reserved, accounts connected. Every call that
// failed is counted; only the last step of a connection is asked again, as its caller has to.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { startBrowser } from '../world.ts'
import { type Door, type Rig, returnUrl } from './rig.ts'

export interface Span {
  calls: number
  /** by status and code */
  failed: Map<string, number>
  /** from its beginning to the end of the last call that failed; 0: none failed */
  lastFailureMs: number
  /** how long this machine let the caller itself wait at most: what took longer than that is the service's doing */
  stallMs: number
}

const connectEveryMs = 2_000
const owner = 'user_field'

export function startFieldLoad(rig: Rig, door: Door, perSecond: number) {
  const readers = [...rig.accounts]
  const flights = new Set<Promise<unknown>>()
  /** ids of the upload slots that a caller was told it has */
  const reserved: string[] = []
  let span = openSpan()
  let connected = 0
  let n = 0

  /** An answer that tells a caller what is so, such as a full quota, is not a failure. */
  async function counted<A extends { status: number; code?: string | undefined }>(asked: Promise<A>): Promise<A> {
    const mine = span
    mine.calls++
    const answer = await asked
    if (answer.status === 0) fail(mine, 'hung up')
    else if (answer.status >= 400 && answer.status !== 429) fail(mine, `${answer.status} ${answer.code ?? 'of HAProxy'}`)
    return answer
  }

  const call = (...[method, path, body, headers]: DropDoor<Parameters<Rig['call']>>) =>
    counted(
      rig.call(door, method, path, body, headers).then((answer) => ({
        ...answer,
        code: typeof answer.body.code === 'string' ? answer.body.code : undefined,
      })),
    )
  const read = (id: string) => counted(rig.read(door, id))

  async function refresh(id: string): Promise<void> {
    const { generation } = await read(id)
    if (generation !== undefined) await call('POST', `/accounts/${id}/token/rejected`, { generation })
  }

  async function reserve(id: string, key: string): Promise<void> {
    const { status, body } = await call('POST', `/accounts/${id}/uploads`, {}, { 'idempotency-key': key })
    if (status === 201) reserved.push(String(body.id))
  }

  async function connect(): Promise<void> {
    const person = rig.tiktok.people.add({ id: `newcomer-${n}` })
    const wish = { owner_id: owner, return_url: returnUrl, account_type: 'creator', age_confirmed: true }
    const opened = await call('POST', '/connect-sessions', wish)
    if (opened.status !== 201) return
    const mine = span
    mine.calls++
    const back = await startBrowser(door.url, door.url, rig.tiktok)
      .walk(String(opened.body.authorize_url), { person: person.id })
      .catch((error: unknown) => fail(mine, `${/answered (\d+)/.exec(String(error))?.[1] ?? 'hung up'} of a page`))
    if (!back) return
    const confirmed = { owner_id: owner, confirm: back.searchParams.get('confirm') }
    for (let tries = 0; tries < 30; tries++) {
      const { status, body } = await call('POST', `/connect-sessions/${opened.body.id}/complete`, confirmed)
      if (status === 201 || status === 200) {
        rig.adopt({ id: String(body.id), openId: rig.tiktok.people.openIdOf(person), person: person.id })
        connected++
      }
      if (status !== 0 && status !== 503) return
      await pause(1_000)
    }
  }

  const go = (work: Promise<unknown>) => {
    const flight = work.finally(() => flights.delete(flight))
    flights.add(flight)
  }
  const calling = setInterval(() => {
    const id = readers[n % readers.length]?.id ?? ''
    const kind = Math.floor(n / readers.length + n) % 10
    if (kind < 5) go(read(id))
    else if (kind < 9) go(refresh(id))
    else go(reserve(id, `field-${n}`))
    n++
  }, 1000 / perSecond)
  const connecting = setInterval(() => go(connect()), connectEveryMs)

  return {
    reserved,
    /** What failed of the calls that began meanwhile. */
    async during(work: () => Promise<void>): Promise<Span> {
      const stalls = monitorEventLoopDelay()
      stalls.enable()
      span = openSpan()
      const mine = span
      await work()
      mine.stallMs = stalls.max / 1e6
      stalls.disable()
      return mine
    },
    /** @returns how many accounts were connected */
    async stop(): Promise<number> {
      clearInterval(calling)
      clearInterval(connecting)
      await Promise.all(flights)
      return connected
    },
  }
}

type DropDoor<P extends unknown[]> = P extends [unknown, ...infer Rest] ? Rest : never
type OpenSpan = Span & { startedAt: number }

function openSpan(): OpenSpan {
  return { calls: 0, failed: new Map<string, number>(), lastFailureMs: 0, stallMs: 0, startedAt: performance.now() }
}

function fail(span: OpenSpan, label: string): void {
  span.failed.set(label, (span.failed.get(label) ?? 0) + 1)
  span.lastFailureMs = performance.now() - span.startedAt
}
