// An event as a signed request, by the Standard Webhooks specification 1.0 (standardwebhooks.com): the id stays the same over
// all tries, the time is that of the try, and there is one signature per live secret, so that a receiver can change secrets at leisure.
import { createHmac } from 'node:crypto'
import type { ServiceEvent } from './events.ts'

export interface SignedEvent {
  headers: Record<string, string>
  body: string
}

/**
 * @param secrets as configured: base64, with or without `whsec_`; the present one first
 * @param sentAt receivers refuse what is more than some minutes off their clock
 */
export function signEvent(event: ServiceEvent, secrets: readonly string[], sentAt: Date): SignedEvent {
  const body = JSON.stringify(event)
  const timestamp = Math.floor(sentAt.getTime() / 1000)
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
    return `v1,${createHmac('sha256', key).update(`${event.id}.${timestamp}.${body}`).digest('base64')}`
  })
  return {
    headers: {
      'content-type': 'application/json',
      'user-agent': 'tiktok-oauth-service',
      'webhook-id': event.id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signatures.join(' '),
    },
    body,
  }
}
