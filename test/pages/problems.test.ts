// docs/problems.md says every code there is.
import t from 'tap'
import { failureCodes } from '../../src/failures.ts'
import { problemsFile } from '../../src/pages/problems.ts'
import { startWorld } from '../world.ts'

t.test("the type of a problem leads to a page that says what to do, and a program's link needs no key", async (t) => {
  const world = await startWorld(t)
  const failed = await world.call<{ type: string; code: string }>('GET', '/accounts', { key: null })
  t.equal(failed.body.type, `${world.config.publicUrl}/docs/problems#unauthenticated`)

  const page = await world.call('GET', new URL(failed.body.type).pathname, { key: null })
  t.equal(page.status, 200)
  t.match(page.headers, { 'content-type': /^text\/html/, 'content-security-policy': /default-src 'none'/ })
  for (const code of failureCodes) t.match(page.text, new RegExp(`href="#${code}"[^]*id="${code}"`), `${code} is in the index`)
  t.notMatch(page.text, '`')
})

t.test('the document has a line for every code', async (t) => {
  const text = problemsFile()
  for (const code of failureCodes)
    t.match(text, new RegExp(`^\\| <a id="${code}"></a>\`${code}\` \\| \\d{3} \\| \\w+ \\| .{20,} \\|$`, 'm'))
})
