// VAULT_KEYS_COMMAND: a program prints the keys. It gets words and no shell, has a deadline, and what it prints is shown nowhere.
import t from 'tap'
import { ConfigError } from '../../src/settings/config.ts'
import { generateVaultKey } from '../../src/vault/keyring.ts'
import { keysFromCommand, wordsOf } from '../../src/vault/keys-command.ts'

const node = JSON.stringify(process.execPath)
const secret = generateVaultKey()

t.test('what the program prints are the keys', async (t) => {
  t.equal(await keysFromCommand(`${node} -e "console.log(process.argv[1])" ${secret}`), secret)
  t.equal(await keysFromCommand(`echo ' ${secret} '`), secret)
})

t.test('no shell reads the line', async (t) => {
  for (const word of ['$HOME', '$(id)', '`id`', '*', ';id', '|id', '>out', '~'])
    t.equal(await keysFromCommand(`echo ${word}`), word, word)
  t.same(wordsOf(`a 'b c'"d"e  "f's"`), ['a', 'b cde', "f's"])
  t.same(wordsOf(`a 'b`), [])
})

t.test('each failure has its sentence, and none of them shows what was printed', async (t) => {
  const failures: [string, RegExp][] = [
    ['  ', /is empty/],
    [`echo 'open`, /quote that is not closed/],
    ['/nowhere/keys', /not there/],
    ['/etc/passwd', /may not run/],
    ['true', /printed nothing/],
    [`${node} -e "console.log('${secret}');console.error('${secret}');process.exit(3)"`, /ended with code 3/],
    [`${node} -e "console.log('${secret}'.repeat(5000))"`, /far more than keys/],
    [`${node} -e "console.log('${secret}');setInterval(()=>{},1000)"`, /did not end within 2 s/],
    [`${node} -e "console.log('${secret}');process.kill(process.pid,'SIGTERM')"`, /was ended by SIGTERM/],
  ]
  for (const [line, sentence] of failures) {
    const error = await keysFromCommand(line, { timeoutMs: 2000 }).then(
      () => new Error(`${line} worked`),
      (error: Error) => error,
    )
    t.ok(error instanceof ConfigError, error.message)
    t.match(error.message, sentence)
    t.notMatch(error.message, secret.slice(4, 20))
  }
})

t.test('S79: it gets what it needs to find its own keys, and none of ours', async (t) => {
  const before = { ...process.env }
  t.teardown(() => {
    process.env = before
  })
  Object.assign(process.env, {
    VAULT_KEYS: secret,
    TIKTOK_CLIENT_SECRET: 'hidden',
    VAULT_ADDR: 'https://vault.example.com',
    AWS_REGION: 'eu-1',
  })
  const seen = JSON.parse(await keysFromCommand(`${node} -e "console.log(JSON.stringify(process.env))"`)) as Record<
    string,
    string
  >
  t.match(seen, { VAULT_ADDR: 'https://vault.example.com', AWS_REGION: 'eu-1', PATH: String })
  t.notOk('VAULT_KEYS' in seen || 'TIKTOK_CLIENT_SECRET' in seen)
})
