// The log is an allow-list: what is not named does not get out, by whichever way it comes.
import { Writable } from 'node:stream'
import t from 'tap'
import { ServiceError } from '../src/errors.ts'
import { createLog, describeError, type Facts } from '../src/telemetry.ts'

const secret = 'rft.secret-of-somebody'

t.test('S58: a field that is not named in the list is not logged, at any level', async (t) => {
  const { log, lines } = listen('trace')
  const facts = { accountId: 'acc_1', accessToken: secret, body: { token: secret }, headers: secret } as Facts
  for (const level of ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const) log[level]('it happened', facts)
  t.equal(lines().length, 6)
  for (const line of lines()) {
    t.match(line, { msg: 'it happened', accountId: 'acc_1' })
    t.same(Object.keys(line).sort(), ['accountId', 'level', 'msg', 'time'])
  }
})

t.test('S58: an error shows what it is and where it was, not what it quotes', async (t) => {
  const { log, lines } = listen('info')
  const postgres = Object.assign(new Error(`invalid input: ${secret}`), {
    code: '22P02',
    detail: secret,
    query: secret,
    parameters: [secret],
  })
  const cause = Object.assign(new TypeError(`${secret}\n    at ${secret} is no frame`, { cause: postgres }), { code: secret })
  log.error('it failed', { error: new ServiceError('internal_error', 'Our own sentence.', { cause }) })
  log.error('it failed', { error: secret })
  log.error('it failed', { error: { message: secret } })
  t.notMatch(JSON.stringify(lines()), secret)
  t.match(lines()[0], {
    error: {
      type: 'ServiceError',
      message: 'Our own sentence.',
      cause: { type: 'TypeError', cause: { type: 'Error', code: '22P02' } },
    },
  })
})

t.test('errors that go in circles or run deep end somewhere', async (t) => {
  const circle = new Error('a')
  circle.cause = circle
  t.ok(JSON.stringify(describeError(circle)).length < 20_000)
  let deep = new Error('bottom')
  for (let level = 0; level < 5000; level++) deep = new Error('level', { cause: deep })
  t.ok(JSON.stringify(describeError(deep)).length < 50_000)
})

t.test('a level that is off costs and writes nothing', async (t) => {
  const { log, lines } = listen('warn')
  log.info('quiet', {
    get accountId(): string {
      throw new Error('nobody should look')
    },
  })
  t.same(lines(), [])
})

function listen(level: 'trace' | 'info' | 'warn') {
  const chunks: string[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk))
      done()
    },
  })
  return {
    log: createLog(level, sink),
    lines: () =>
      chunks
        .join('')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
  }
}
