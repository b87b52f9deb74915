// What a drill does when an answer is lost: it asks again, and reports as wrong only what was answered wrongly.
import t from 'tap'
import type { Rig } from './rig.ts'
import { rotate } from './rotate.ts'

/** A service at generation 7 whose answers are lost where `lost` says so; what it was asked takes effect all the same. */
function service(lost: readonly boolean[], refusal?: { status: number; code: string }) {
  const asked: string[] = []
  let generation = 7
  const answer = <Body extends object>(body: Body, what: string, none: Body) => {
    asked.push(what)
    return lost[asked.length - 1] ? { status: 0, ...none } : { status: 200, ...body }
  }
  const rest = { accountId: 'acc_1', ms: 1, code: undefined, degraded: false, wrong: undefined, accessToken: undefined }
  const rig: Pick<Rig, 'read' | 'call'> = {
    read: async () => ({
      ...rest,
      ...answer({ generation: generation as number | undefined }, 'read', { generation: undefined }),
    }),
    async call(_door, _method, _path, body) {
      const { generation: refused } = body as { generation: number }
      if (refusal) return { status: refusal.status, body: { code: refusal.code }, ms: 1 }
      if (refused === generation) generation++
      return { ms: 1, ...answer({ body: { generation } as Record<string, unknown> }, `refuse ${refused}`, { body: {} }) }
    },
  }
  return { asked, rotation: () => rotate(rig, { url: 'http://127.0.0.1:1' }, 'acc_1') }
}

t.test('a read without an answer is read again, so that the refusal names a generation', async (t) => {
  const { rotation, asked } = service([true, true])
  t.match(await rotation(), { status: 200, code: '', read: { generation: 7 } })
  t.same(asked, ['read', 'read', 'read', 'refuse 7'])
})

t.test('a refresh whose answer was lost is found by the next read, and not asked for twice', async (t) => {
  const { rotation, asked } = service([false, true])
  t.match(await rotation(), { status: 200, code: '', read: { generation: 8 } })
  t.same(asked, ['read', 'refuse 7', 'read'])
})

t.test('what is answered is believed, and an end is made of what never is', async (t) => {
  t.match(await service([], { status: 503, code: 'tiktok_unavailable' }).rotation(), { status: 503, code: 'tiktok_unavailable' })
  t.match(await service(Array(50).fill(true)).rotation(), { status: 0, code: 'no answer' })
})
