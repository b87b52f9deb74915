// One refresh, asked for as an upload service does: its token is read and said to be refused.
import type { Door, Reading, Rig } from './rig.ts'

export interface Rotation {
  read: Reading
  /** of the answer that counts: 200 when there was a refresh */
  status: number
  code: string
}

/**
 * What got no answer is asked again, from the read on: without it there is no generation to name, and a refresh whose answer was lost shows
 * in the next one. What was answered is believed, whatever it says.
 */
export async function rotate({ read, call }: Pick<Rig, 'read' | 'call'>, door: Door, accountId: string): Promise<Rotation> {
  let refused: number | undefined
  for (let triesLeft = 10; ; triesLeft--) {
    const reading = await read(door, accountId, 0)
    if (reading.status === 0 && triesLeft > 1) continue
    if (reading.generation === undefined) return { read: reading, status: reading.status, code: reading.code ?? 'no answer' }
    if (refused !== undefined && reading.generation > refused) return { read: reading, status: 200, code: '' }
    refused = reading.generation
    const { status, body } = await call(door, 'POST', `/accounts/${accountId}/token/rejected`, { generation: refused })
    if (status === 0 && triesLeft > 1) continue
    const isNext = status !== 200 || body.generation === refused + 1
    return { read: reading, status, code: isNext ? String(body.code ?? '') : `with generation ${String(body.generation)}` }
  }
}
