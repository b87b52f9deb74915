// A change of vault keys as operators do it, under load: every replica learns the new key, then every replica takes it first, then everything is
// resealed, then the old key is taken away. Callers go to replicas that are in rotation, as behind a load balancer, and every answer counts.
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'

export interface Served {
  url: string
  stop(): Promise<unknown>
}

export interface KeyChangeOptions {
  /** starts a replica, or starts it again with other keys; resolves when it is ready */
  start(name: string, vaultKeys: string): Promise<Served>
  reseal(vaultKeys: string): Promise<unknown>
  apiKey: string
  accountIds: readonly string[]
  /** entries of VAULT_KEYS */
  oldKey: string
  newKey: string
  callsPerSecond: number
  replicas?: number
}

export interface KeyChange {
  calls: number
  /** answers other than 200: status and code */
  failed: string[]
  /** calls that were made while texts were being moved */
  callsDuringReseal: number
  refreshesAsked: number
  resealSeconds: number
  seconds: number
  p99Ms: number
}

/** One call in so many says that TikTok refused the token it got, which makes the service refresh. */
const rejectedOneIn = 10

export async function changeKeys(options: KeyChangeOptions): Promise<KeyChange> {
  const { start, reseal, apiKey, accountIds, oldKey, newKey, callsPerSecond, replicas = 3 } = options
  const agent = new Agent({ connections: 64, pipelining: 1 })
  const names = Array.from({ length: replicas }, (_, index) => `replica-${index}`)
  const running = new Map<string, Served>()
  const inRotation = new Map<string, { served: Served; inFlight: number }>()
  const result = { calls: 0, failed: [] as string[], callsDuringReseal: 0, refreshesAsked: 0 }
  const took: number[] = []
  let resealing = false
  let stopped = false

  async function ask(
    url: string,
    method: 'GET' | 'POST',
    path: string,
    body?: object,
  ): Promise<Record<string, unknown> | undefined> {
    const startedAt = performance.now()
    result.calls++
    if (resealing) result.callsDuringReseal++
    try {
      const headers = { authorization: `Bearer ${apiKey}`, ...(body ? { 'content-type': 'application/json' } : {}) }
      const answer = await request(new URL(path, url), {
        dispatcher: agent,
        method,
        headers,
        body: body ? JSON.stringify(body) : null,
      })
      const said = (await answer.body.json()) as Record<string, unknown>
      took.push(performance.now() - startedAt)
      if (answer.statusCode === 200) return said
      result.failed.push(`${method} ${answer.statusCode} ${said.code}`)
    } catch (error) {
      result.failed.push(`${method} ${error instanceof Error ? error.message : 'failed'}`)
    }
    return undefined
  }

  async function call(turn: number): Promise<void> {
    const each = [...inRotation.values()]
    const target = each[turn % each.length]
    if (!target) throw new Error('no replica is in rotation')
    target.inFlight++
    const accountId = accountIds[Math.floor(Math.random() * accountIds.length)]
    const read = await ask(target.served.url, 'GET', `/accounts/${accountId}/token?min_ttl=60`)
    if (read && turn % rejectedOneIn === 0) {
      result.refreshesAsked++
      await ask(target.served.url, 'POST', `/accounts/${accountId}/token/rejected`, { generation: read.generation })
    }
    target.inFlight--
  }

  /** An open loop: calls come when they come, however slow the answers are. */
  async function load(): Promise<void> {
    const calls = new Set<Promise<void>>()
    const startedAt = performance.now()
    for (let turn = 0; !stopped; turn++) {
      await sleep(Math.max(0, startedAt + (turn * 1000) / callsPerSecond - performance.now()))
      const going = call(turn)
      calls.add(going)
      void going.finally(() => calls.delete(going))
    }
    await Promise.all(calls)
  }

  async function restart(name: string, vaultKeys: string): Promise<void> {
    const before = inRotation.get(name)
    inRotation.delete(name)
    while (before && before.inFlight > 0) await sleep(5)
    await running.get(name)?.stop()
    const served = await start(name, vaultKeys)
    running.set(name, served)
    inRotation.set(name, { served, inFlight: 0 })
  }

  const startedAt = performance.now()
  try {
    await Promise.all(names.map((name) => restart(name, oldKey)))
    const loading = load()
    for (const vaultKeys of [`${oldKey},${newKey}`, `${newKey},${oldKey}`])
      for (const name of names) await restart(name, vaultKeys)
    const resealedFrom = performance.now()
    resealing = true
    await reseal(`${newKey},${oldKey}`)
    resealing = false
    const resealSeconds = (performance.now() - resealedFrom) / 1000
    for (const name of names) await restart(name, newKey)
    stopped = true
    await loading
    took.sort((a, b) => a - b)
    const seconds = (performance.now() - startedAt) / 1000
    return { ...result, resealSeconds, seconds, p99Ms: took[Math.floor(took.length * 0.99)] ?? 0 }
  } finally {
    stopped = true
    await Promise.all([...running.values()].map((served) => served.stop()))
    await agent.close()
  }
}
