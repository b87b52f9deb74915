// What the pages have words for, in every language: the messages at the top of the connect page, and failures.
import { failures } from '../failures.ts'
import type { Tongue } from './tongue.ts'

/** Shown at the top after something was done. */
export const doneCodes = ['label_saved', 'label_removed', 'disconnected', 'disconnected_pending'] as const
export type DoneCode = (typeof doneCodes)[number]

/** Shown at the top after something could not be done. */
export const notDoneCodes = [
  'account_type_missing',
  'account_type_not_supported',
  'age_not_confirmed',
  'label_invalid',
  'account_not_found',
  'account_disconnected',
  'reconnect_other',
] as const
export type NotDoneCode = (typeof notDoneCodes)[number]

export interface Words {
  /** what happened */
  title: string
  /** what to do */
  text: string
}

/** The words for a failure code, whether it is ours or TikTok's. A code of ours without words is one that only programs should meet. */
export function failureInWords({ say, sayIfKnown }: Tongue, code: string): Words {
  const title = sayIfKnown(`failure.${code}`)
  const text = sayIfKnown(`failure.${code}.text`)
  if (title !== undefined && text !== undefined) return { title, text }
  return code in failures
    ? { title: say('failure.other'), text: say('failure.other.text') }
    : { title: say('failure.tiktok_rejected'), text: say('failure.tiktok_rejected.text') }
}

/** What a permission of TikTok's allows, and why it is asked for. */
export function scopeInWords({ say, sayIfKnown }: Tongue, scope: string): { what: string; why: string } {
  const what = sayIfKnown(`scope.${scope}`)
  const why = sayIfKnown(`scope.${scope}.why`)
  return what !== undefined && why !== undefined
    ? { what, why }
    : { what: say('scope.unknown', { scope }), why: say('scope.unknown.why') }
}
