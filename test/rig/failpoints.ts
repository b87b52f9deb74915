// Loaded into a service process by the fault tests (`node --import ./test/rig/failpoints.ts src/main.ts`): kills or pauses the
// process in the very moment it takes a labelled step (src/token/steps.ts). Nothing in src imports this, so no variable can
// switch it on.
import { subscribe } from 'node:diagnostics_channel'
import { writeSync } from 'node:fs'

/** On the `hit`-th time from now that `label` is reached, about `subject` if one is named, the signal falls. */
export interface Failpoint {
  label: string
  signal: 'SIGKILL' | 'SIGSTOP'
  hit?: number
  subject?: string
}

/** What the process says, synchronously, right before the signal falls. */
export const sign = (label: string) => `failpoint ${label} was reached`

let armed: (Failpoint & { hit: number }) | undefined

function arm({ hit = 1, ...failpoint }: Failpoint): void {
  armed = { ...failpoint, hit }
}

subscribe('tiktok-oauth-service.step', (message) => {
  const { name, subject } = message as { name: string; subject: string }
  if (armed?.label !== name || (armed.subject !== undefined && armed.subject !== subject)) return
  armed.hit -= 1
  if (armed.hit > 0) return
  const { signal } = armed
  armed = undefined
  writeSync(2, `${sign(name)}\n`)
  process.kill(process.pid, signal)
})

if (process.env.FAILPOINT) arm(JSON.parse(process.env.FAILPOINT) as Failpoint)
process.on('message', (failpoint: Failpoint) => {
  arm(failpoint)
  process.send?.('armed')
})
process.channel?.unref()
// Whoever started this process is gone, and nobody is left to end it.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
