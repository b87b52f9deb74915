// The example upload service against the real service and TikTok's simulator: a file arrives, and its slot is settled whatever happens.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createUploadService } from '../../examples/upload-service.ts'
import type { UploadQuota } from '../../src/uploads/quota.ts'
import { eventually } from '../rig/eventually.ts'
import { startWorld } from '../world.ts'

t.test('a file arrives once; a refused token is replaced; what TikTok refuses is told to the service', async (t) => {
  const world = await startWorld(t)
  const key = await world.key('tokens:read', 'quota:write')
  const upload = createUploadService({ serviceUrl: world.app.url, key, tiktokApiUrl: world.tiktok.url })
  const { id } = await world.connect({ person: 'mara' })
  const quota = async () => (await world.call<UploadQuota>('GET', `/accounts/${id}/quota`)).body
  const file = (name: string, size = 6_000_000) => {
    const path = join(t.testdir(), name)
    writeFileSync(path, Buffer.alloc(size, name))
    return path
  }

  const first = file('a.mp4')
  t.match(await upload(id, first), { alreadyDone: false, upload: { status: 'committed', publishId: /^v_inbox_file/ } })
  t.match(await upload(id, first), { alreadyDone: true }, 'the same file is the same job')
  t.equal(world.tiktok.stats.report().uploads, 1)
  t.match(await quota(), { used: 1, reserved: 0 })

  world.tiktok.faults.add({ route: 'upload', error: 'access_token_invalid' })
  t.match(await upload(id, file('b.mp4', 70_000_123)), { alreadyDone: false })
  t.equal(world.tiktok.stats.report().chunks, 3, 'the larger one came in two')
  t.match(await quota(), { used: 2, reserved: 0 })

  world.tiktok.faults.add({ route: 'upload', error: 'spam_risk_too_many_pending_share' })
  await t.rejects(upload(id, file('c.mp4')), { name: 'TikTokRefusal', code: 'spam_risk_too_many_pending_share' })
  t.match(await quota(), { used: 2, reserved: 0, closed_by: 'spam_risk_too_many_pending_share' })
  await t.rejects(upload(id, file('d.mp4')), { code: 'upload_quota_exhausted', mendedBy: 'time' })
})

t.test("TikTok's own cap of drafts closes the account, and a draft that the person posts opens it", async (t) => {
  const world = await startWorld(t, { simulator: { settings: { pending_shares_per_day: 1 } } })
  world.tiktok.changeSettings({ webhook_url: `${world.app.url}/webhooks/tiktok` })
  const key = await world.key('tokens:read', 'quota:write')
  const upload = createUploadService({ serviceUrl: world.app.url, key, tiktokApiUrl: world.tiktok.url })
  const { id } = await world.connect({ person: 'mara' })
  const closedBy = async () => (await world.call<UploadQuota>('GET', `/accounts/${id}/quota`)).body.closed_by
  const folder = t.testdir({ 'a.mp4': 'a', 'b.mp4': 'b', 'c.mp4': 'c' })

  await upload(id, join(folder, 'a.mp4'))
  await t.rejects(upload(id, join(folder, 'b.mp4')), { name: 'TikTokRefusal', code: 'spam_risk_too_many_pending_share' })
  t.equal(await closedBy(), 'spam_risk_too_many_pending_share')
  await world.timePasses(60)
  const [draft] = world.tiktok.publications.all()
  t.ok(draft && world.tiktok.publications.advance(draft))
  await eventually('the notice was acted upon', async () => (await closedBy()) === undefined)
  t.match(await upload(id, join(folder, 'c.mp4')), { alreadyDone: false })
})
