/** `/_sim/apps`, `/_sim/reset` and `/_sim/snapshots`: which apps there are, and their worlds as a whole. */
import { NewApp } from './apps.ts'
import { type Handler, noApp, nothingHere, read } from './handler.ts'
import { SnapshotName } from './snapshots.ts'
import { json } from './wire.ts'
import type { World } from './world.ts'

export const appHandlers = {
  'GET apps': (_world, request, _id, apps) => json(200, { apps: apps.all().map((world) => describeApp(world, request.origin)) }),
  'POST apps': (_world, request, _id, apps) => {
    const world = apps.add(read(NewApp, request))
    return world
      ? json(201, describeApp(world, request.origin))
      : json(409, { error: 'there is an app by this client key already' })
  },
  'GET apps/:id': (_world, request, key, apps) => {
    const world = apps.find(key)
    return world ? json(200, describeApp(world, request.origin)) : noApp()
  },
  'DELETE apps/:id': (_world, _request, key, apps) => {
    const world = apps.find(key)
    if (!world) return noApp()
    return apps.remove(world) ? json(200, {}) : json(409, { error: 'the app that the simulator started with stays' })
  },
  'POST reset': (world, _request, _id, apps) => {
    apps.reset(world)
    return json(200, {})
  },
  'GET snapshots': (world, _request, _id, apps) => json(200, { snapshots: apps.snapshotsOf(world) }),
  'POST snapshots/:id': (world, _request, name, apps) => {
    if (!SnapshotName.safeParse(name).success) return nothingHere('a name has 1 to 64 letters, digits, _ and -')
    apps.saveSnapshot(world, name)
    return json(201, { snapshots: apps.snapshotsOf(world) })
  },
  'POST snapshots/:id/load': (world, _request, name, apps) => (apps.loadSnapshot(world, name) ? json(200, {}) : noSnapshot()),
  'DELETE snapshots/:id': (world, _request, name, apps) => (apps.removeSnapshot(world, name) ? json(200, {}) : noSnapshot()),
} satisfies Record<string, Handler>

const noSnapshot = () => nothingHere('no snapshot by this name')

/** `control` is the address of `/_sim` for this app alone. */
function describeApp({ settings, developer }: World, origin: string) {
  return { ...settings, developer, control: `${origin}/_sim/apps/${settings.client_key}` }
}
