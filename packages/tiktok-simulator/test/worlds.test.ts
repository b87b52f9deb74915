// Whatever a world remembers is reset, saved, loaded and its own. A store without a line here does not compile, and neither does a world with it.
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import t from 'tap'
import { Apps } from '../src/apps.ts'
import { changeSettings } from '../src/control.ts'
import { defaultSettings } from '../src/settings.ts'
import { Snapshots } from '../src/snapshots.ts'
import { type StoreName, storesOf, type World } from '../src/world.ts'

interface Happening {
  happen(world: World): unknown
  /** How it shows. */
  look(world: World): unknown
  /** An app of the same developer sees it too. */
  shared?: true
  /** A list of what happened, which a snapshot leaves out. */
  forgotten?: true
}

const mara = ({ people }: World) => people.find('mara') ?? people.add({ id: 'mara' })
let code = ''

const happenings: Record<StoreName, Happening> = {
  settings: {
    happen: (world) =>
      changeSettings(world, { app_name: 'Changed', app_scopes: ['user.info.basic'], redirect_uris: ['https://a/'] }),
    look: ({ settings: { app_name, app_scopes, redirect_uris } }) => ({ app_name, app_scopes, redirect_uris }),
  },
  clock: { happen: ({ clock }) => clock.advance(3600), look: ({ clock }) => clock.report().offset_seconds, shared: true },
  stats: {
    happen({ stats }) {
      stats.count('avatars')
      stats.doubleSpend(() => ({
        open_id: '',
        person: '',
        refresh_token_sha256: '',
        processed_at: '',
        presented_at: '',
        presented: 2,
      }))
    },
    look: ({ stats }) => stats.report(),
  },
  people: {
    happen({ people }) {
      people.add({ id: 'newest' })
      people.addToCrowd('many')
      people.change(people.find('jonas') ?? people.add({ id: 'jonas' }), { display_name: 'Changed' })
    },
    look: ({ people }) => ({
      shown: Array.from(people.shown(), ({ id, displayName }) => [id, displayName]),
      crowd: people.find('many-1')?.id,
      byOpenId: people.findByOpenId(people.openIdOf({ id: 'newest' }))?.id,
    }),
    shared: true,
  },
  codes: {
    happen(world) {
      const authorization = { person: mara(world), asked: [], scopes: [], redirectUri: '', codeChallenge: undefined }
      code = world.codes.issue(authorization)
    },
    look: (world) => [...world.codes.kept.codes.keys()].map((one) => world.codes.personOf(one) === mara(world)),
  },
  grants: {
    happen: (world) => world.grants.issue(mara(world), ['user.info.basic']),
    look: ({ grants, ...world }) => ({
      ofMara: grants.ofPerson(mara({ grants, ...world })).map(({ refreshToken }) => [refreshToken, grants.isLive(refreshToken)]),
      all: [...grants.all()].map(({ accessTokens }) => accessTokens.map((token) => grants.byAccessToken(token)?.openId)),
    }),
  },
  faults: { happen: ({ faults }) => faults.add({ route: 'refresh' }), look: ({ faults }) => faults.list().map(({ id }) => id) },
  exchanges: {
    happen({ exchanges }) {
      const request = {
        method: 'GET',
        path: '/',
        query: new URLSearchParams(),
        headers: {},
        body: Buffer.of(),
        bodyBytes: 0,
        origin: '',
      }
      exchanges.begin(request, new ServerResponse(new IncomingMessage(new Socket())))
    },
    look: ({ exchanges }) => exchanges.changedAfter(0).length,
    forgotten: true,
  },
  webhooks: {
    happen: ({ webhooks }) => webhooks.send({ event: 'authorization.removed' }),
    look: ({ webhooks }) => webhooks.deliveries().map(({ body }) => body),
  },
  publications: {
    happen(world) {
      world.publications.add({
        publish_id: 'v_inbox_file~v2.1',
        person: mara(world).id,
        open_id: world.people.openIdOf(mara(world)),
        media: 'video',
        mode: 'inbox',
        source: 'FILE_UPLOAD',
        created_at: world.clock.now(),
        title: '',
        privacy_level: null,
        upload: null,
        bytes: 0,
        arrived_at: null,
        status: 'PROCESSING_UPLOAD',
        fail_reason: null,
        note: null,
        posts: [],
      })
    },
    look: (world) => ({ all: [...world.publications.all()], ofMara: [...world.publications.ofPerson(mara(world))].length }),
  },
  rates: {
    happen: ({ rates }) => rates.exceeded('one', 5),
    look: ({ rates }) => rates.kept.times.get('one')?.length,
  },
}

for (const [name, { happen, look, shared = false, forgotten = false }] of Object.entries(happenings)) {
  t.test(`${name}: put back, saved, loaded, and nobody else's`, async (t) => {
    const apps = new Apps({ ...defaultSettings }, new Snapshots(undefined), AbortSignal.abort())
    const world = apps.first
    const [sister, stranger] = [apps.add({ developer: 'default' }), apps.add({})]
    if (!sister || !stranger) throw new Error('two more apps')
    t.strictSame(Object.keys(storesOf(world)).sort(), Object.keys(happenings).sort())
    const [before, sisterBefore, strangerBefore] = [look(world), look(sister), look(stranger)]

    happen(world)
    const after = look(world)
    t.strictNotSame(after, before, 'it shows')
    t.strictSame(look(stranger), strangerBefore, 'not in the world of another developer')
    if (shared) t.strictSame(look(sister), after, "in the developer's other app")
    else t.strictSame(look(sister), sisterBefore, "not in the developer's other app")

    apps.saveSnapshot(world, 'after')
    apps.reset(stranger)
    t.strictSame(look(world), after, 'a reset elsewhere')
    apps.reset(world)
    t.strictSame(look(world), before, 'a reset')
    happen(world)
    happen(stranger)
    const strangerAfter = look(stranger)
    t.ok(apps.loadSnapshot(world, 'after'))
    t.strictSame(look(world), forgotten ? before : after, 'loaded')
    t.strictSame(look(stranger), strangerAfter, 'loaded elsewhere')
  })
}

t.test('what is put back is whole: whom a grant and a code belong to is who is there', async (t) => {
  const apps = new Apps({ ...defaultSettings }, new Snapshots(undefined), AbortSignal.abort())
  const world = apps.first
  const sister = apps.add({ developer: 'default' })
  for (const { happen } of Object.values(happenings)) happen(world)
  const tokens = sister?.grants.issue(mara(world), ['user.info.basic'])
  const kept = code
  apps.saveSnapshot(world, 'all')
  apps.reset(world)
  t.equal(sister?.grants.byAccessToken(tokens?.access_token), undefined)
  apps.loadSnapshot(world, 'all')
  t.equal(world.codes.personOf(kept), mara(world))
  t.equal(sister?.grants.byAccessToken(tokens?.access_token)?.person, mara(world))
  t.equal(sister?.people.find('mara'), mara(world), 'one person for both')
  t.ok(sister?.grants.refresh(tokens?.refresh_token ?? ''))
})

t.test('a notice that was under way does not follow into the world after', async (t) => {
  const apps = new Apps(
    { ...defaultSettings, webhook_url: 'http://127.0.0.1:1/', webhook_retry_ms: 1 },
    new Snapshots(undefined),
    new AbortController().signal,
  )
  const [delivery] = apps.first.webhooks.send({ event: 'authorization.removed' })
  apps.reset(apps.first)
  await apps.first.webhooks.settled()
  t.ok((delivery?.statuses.length ?? 9) < 2, 'not tried again')
  t.strictSame(apps.first.webhooks.deliveries(), [])
})
