/**
 * TikTok's notices to the app: signed, sent at once, tried again for a while when the answer is not 200. Their times are
 * the machine's, not the simulator's clock's, because the receiver compares them with its own.
 */
import { createHmac } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import type { Settings } from './settings.ts'

export const Notice = z.strictObject({
  event: z.string().describe("TikTok's name of it, such as authorization.removed"),
  user_openid: z.string().optional().describe('Whom it is about'),
  content: z
    .union([z.string(), z.record(z.string(), z.unknown())])
    .default({})
    .describe('Sent as JSON inside a string; a string is taken as that JSON'),
  create_time: z.number().int().optional().describe('Unix seconds; now, unless said'),
  t: z.number().int().optional().describe('Unix seconds in the signature; now, unless said'),
  signature: z.enum(['forged', 'missing']).optional().describe('Sign with the wrong secret, or not at all'),
  times: z
    .number()
    .int()
    .min(1)
    .max(100)
    .default(1)
    .describe('Deliver the same bytes so many times, as an at-least-once sender may'),
})
export type Notice = z.input<typeof Notice>

export interface Delivery {
  event: string
  body: string
  signature: string | undefined
  /** The status of each answer so far; 0 where nobody answered. */
  statuses: number[]
  state: 'sending' | 'delivered' | 'given_up' | 'no_url'
}

type Sign = (nowSeconds: number) => string | undefined

/** TikTok goes on for 72 hours; here the receiver should notice within a test. */
const maxAttempts = 6
const maxDeliveriesKept = 1000

export class Webhooks {
  readonly #settings: Settings
  readonly #closing: AbortSignal
  readonly kept = { deliveries: [] as Delivery[] }
  readonly #underway = new Set<Promise<void>>()
  /** One more with every world that was put back: what was under way in the one before is not sent again. */
  #era = 0

  constructor(settings: Settings, closing: AbortSignal) {
    this.#settings = settings
    this.#closing = closing
  }

  /** Starts sending and does not wait; `settled` does. */
  send(notice: Notice): Delivery[] {
    const { times, signature, ...parts } = Notice.parse(notice)
    const nowSeconds = Math.floor(Date.now() / 1000)
    const body = JSON.stringify({
      client_key: this.#settings.client_key,
      event: parts.event,
      create_time: parts.create_time ?? nowSeconds,
      user_openid: parts.user_openid,
      content: typeof parts.content === 'string' ? parts.content : JSON.stringify(parts.content),
    })
    const secret = signature === 'forged' ? 'not-the-client-secret' : this.#settings.client_secret
    const sign = (seconds: number) => (signature === 'missing' ? undefined : signatureHeader(secret, parts.t ?? seconds, body))
    return Array.from({ length: times }, () => this.#start(parts.event, body, sign, nowSeconds))
  }

  deliveries(): readonly Delivery[] {
    return this.kept.deliveries
  }

  /** Resolves when nothing is on its way any more, delivered or given up. */
  async settled(): Promise<void> {
    while (this.#underway.size > 0) await Promise.all(this.#underway)
  }

  restored(): void {
    this.#era += 1
    for (const delivery of this.kept.deliveries) if (delivery.state === 'sending') delivery.state = 'given_up'
  }

  #start(event: string, body: string, sign: Sign, nowSeconds: number): Delivery {
    const url = this.#settings.webhook_url
    const delivery: Delivery = { event, body, signature: sign(nowSeconds), statuses: [], state: url ? 'sending' : 'no_url' }
    this.kept.deliveries.push(delivery)
    if (this.kept.deliveries.length > maxDeliveriesKept) this.kept.deliveries.shift()
    if (!url) return delivery
    const sending = this.#deliver(url, delivery, sign).finally(() => this.#underway.delete(sending))
    this.#underway.add(sending)
    return delivery
  }

  async #deliver(url: string, delivery: Delivery, sign: Sign): Promise<void> {
    let waitMs = this.#settings.webhook_retry_ms
    const era = this.#era
    while (!this.#closing.aborted && era === this.#era) {
      const status = await this.#post(url, delivery)
      delivery.statuses.push(status)
      if (status === 200) delivery.state = 'delivered'
      else if (delivery.statuses.length === maxAttempts) delivery.state = 'given_up'
      if (delivery.state !== 'sending') return
      await pause(waitMs, undefined, { signal: this.#closing }).catch(() => undefined)
      waitMs *= 2
      if (this.#settings.resign_retries) delivery.signature = sign(Math.floor(Date.now() / 1000))
    }
    delivery.state = 'given_up'
  }

  async #post(url: string, { body, signature }: Delivery): Promise<number> {
    const headers: Record<string, string> = { 'content-type': 'application/json' }
    if (signature !== undefined) headers['TikTok-Signature'] = signature
    const signal = AbortSignal.any([this.#closing, AbortSignal.timeout(10_000)])
    try {
      const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' })
      await response.arrayBuffer()
      return response.status
    } catch {
      return 0
    }
  }
}

export function signatureHeader(clientSecret: string, t: number, body: string): string {
  return `t=${t},s=${createHmac('sha256', clientSecret).update(`${t}.${body}`).digest('hex')}`
}
