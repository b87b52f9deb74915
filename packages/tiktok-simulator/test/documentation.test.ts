// docs/simulator.md says what the simulator takes.
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { evidenceOfBehaviours, evidenceOfSettings } from '../src/evidence.ts'
import { namedFaults } from '../src/named-faults.ts'
import { Settings } from '../src/settings.ts'
import { sim, simulatorFor } from './app.ts'
import { operations } from './described.ts'

const page = await readFile(new URL('../../../docs/simulator.md', import.meta.url), 'utf8')

t.test('every fault on the page is one the simulator takes', async (t) => {
  const simulator = await simulatorFor(t)
  const scripts = [...page.matchAll(/`(\{"route".*\})`/g)].map(([, script]) => script ?? '')
  t.ok(scripts.length > 10)
  for (const script of scripts) t.equal((await sim(simulator, 'POST', 'faults', JSON.parse(script))).status, 201, script)

  const named = [...page.matchAll(/^\| `(\w+)` \|.*`(\{"route".*\})` \|$/gm)]
  t.strictSame(Object.fromEntries(named.map(([, name, script = '']) => [name, JSON.parse(script)])), namedFaults)
})

t.test('every route of /_sim is on the page', async (t) => {
  for (const { method, path } of operations) {
    const place = path.slice('/_sim/'.length).replace('{id}', 'ID')
    t.match(page, new RegExp(`\`${method} ${place}[\`?]`))
  }
})

t.test('every setting and every fixed person is on the page, with the right open_id', async (t) => {
  const simulator = await simulatorFor(t)
  for (const name of Object.keys(Settings.omit({ client_key: true }).shape)) t.match(page, `\`${name}\``)
  for (const person of simulator.people.shown()) t.match(page, `| \`${person.id}\` | \`${simulator.people.openIdOf(person)}\` |`)
})

t.test('what each setting and behaviour rests on is said, with a source for what is documented or observed', async (t) => {
  t.strictSame(Object.keys(evidenceOfSettings).sort(), Object.keys(Settings.shape).sort())
  for (const [what, { standing, source }] of Object.entries({ ...evidenceOfBehaviours, ...evidenceOfSettings })) {
    if (standing === 'documented' || standing === 'observed') t.match(source, /\b20\d\d$/, what)
    else t.equal(source, '', what)
  }
})
