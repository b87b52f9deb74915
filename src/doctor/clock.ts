// Two clocks that should say the same.
import { type Finding, fault, warning } from './finding.ts'

/** What nobody notices, a network's delay and a `Date` header's whole seconds included. */
const unnoticedSeconds = 5
/** Signatures, codes and JWTs are refused by then. */
const tooMuchSeconds = 60

/** @param theirs what the other one said between the two moments of ours */
export function ofClock(whose: string, theirs: Date, askedAtMs: number, answeredAtMs: number): Finding[] {
  const aheadMs = askedAtMs > theirs.getTime() ? askedAtMs - theirs.getTime() : Math.min(0, answeredAtMs - theirs.getTime())
  const seconds = Math.round(aheadMs / 1000)
  if (Math.abs(seconds) <= unnoticedSeconds) return []
  const make = Math.abs(seconds) > tooMuchSeconds ? fault : warning
  return [
    make(
      `The clock of this machine is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} that of ${whose}.`,
      'Tokens, signatures and sessions count as expired too early or too late.',
      'Set the clock that is wrong, and keep it right: `timedatectl set-ntp true`, or chrony.',
    ),
  ]
}
