// The flags of V8 that bound memory are part of what compiled code is kept under, so they may not differ between who keeps it and who reads it.
import { spawnSync } from 'node:child_process'
import { mock } from 'node:test'
import { cachedDataVersionTag } from 'node:v8'
import t from 'tap'
import { dropStartUpGarbage } from '../../src/replica/heap.ts'

const tells = `data:text/javascript,import { cachedDataVersionTag as tag } from "node:v8"; process.on("exit", () => console.error("tag " + tag()))`

/** Under which version and flags of V8 a program compiles. A service with this port ends at its configuration. */
function tagOf(file: string): string | undefined {
  const { stderr } = spawnSync(process.execPath, ['--import', tells, file], { env: { PORT: 'none' }, encoding: 'utf8' })
  return /^tag \d+$/m.exec(stderr)?.[0]
}

t.test('what is compiled where an image is built fits the flags of the service', async (t) => {
  const tag = tagOf('src/main.ts')
  t.type(tag, 'string')
  t.equal(tagOf('src/compile-cache.ts'), tag)
})

t.test('what is loaded after the start-up garbage is dropped still fits', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const tag = cachedDataVersionTag()
  dropStartUpGarbage()
  mock.timers.runAll()
  t.equal(cachedDataVersionTag(), tag)
})
