// The labelled steps of a refresh, an exchange and a notice, announced on Node's own diagnostics channel. Nobody listens in production,
// where a step costs a check of an empty list. A tracer can listen; the fault tests listen to kill or pause the process on
// an exact line, which takes code loaded into the process and can never be switched on by a variable.
import { channel } from 'node:diagnostics_channel'

export type Step =
  | 'refresh.claimed'
  | 'refresh.sending'
  | 'refresh.answered'
  | 'refresh.journalled'
  | 'refresh.saved'
  | 'exchange.begun'
  | 'exchange.sending'
  | 'exchange.answered'
  | 'exchange.journalled'
  | 'exchange.saved'
  | 'notice.kept'

const steps = channel('tiktok-oauth-service.step')

/** Subscribers run before this returns. */
export function step(name: Step, subject: string): void {
  if (steps.hasSubscribers) steps.publish({ name, subject })
}
