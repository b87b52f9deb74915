// What Node would make of a line in .env, and which lines are refused because something of them would be lost.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import t from 'tap'
import { ConfigError } from '../../src/settings/config.ts'
import { problemsIn, readEnvFile } from '../../src/settings/env-file.ts'

t.test('a value that would lose something is refused by its name, and never shown', async (t) => {
  for (const [line, sentence] of [
    ['SECRET=S3cret#more', /^SECRET in \.env would be cut at its #: put the value between single quotes/],
    ['SECRET=S3cret#', /would be cut/],
    ['SECRET=#S3cret', /would be cut/],
    ['SECRET = S3cret#more # a comment', /would be cut/],
    ['export SECRET=S3cret#more', /would be cut/],
    ['SECRET=S3cret#more\r', /would be cut/],
    ['SECRET="S3cret', /begins with a quote that is not closed/],
    [`SECRET='S3cret'more`, /goes on behind its closing quote/],
    ['SECRET="two\nlines"#more\nOTHER=S3cret#x', /^OTHER in \.env would be cut/],
  ] as const) {
    const problems = problemsIn(`FIRST=1\n${line}\nLAST=2\n`, {})
    t.equal(problems.length, 1, line)
    t.match(problems[0], sentence)
    t.notMatch(problems[0], /S3cret/)
  }
})

t.test('a line or a file that Node would pass over is told by its number, and never shown', async (t) => {
  for (const line of ['SECRET: S3cret', 'set SECRET=S3cret', '$env:SECRET="S3cret"', 'SECRET', '- SECRET=S3cret']) {
    t.strictSame(problemsIn(`FIRST="1\n#"\n\n${line}\r\nLAST=2\n`, {}), [
      'line 4 of .env says nothing: write NAME=value, or a # before a comment',
    ])
  }
  const utf16 = Buffer.from('\uFEFFSECRET=S3cret\r\n', 'utf16le').toString('utf8')
  t.strictSame(problemsIn(utf16, {}), ['.env is not written in UTF-8: save it anew, in UTF-8'])
})

t.test('what Node reads whole is let through', async (t) => {
  for (const [line, value] of [
    [`SECRET='S3cret#more'`, 'S3cret#more'],
    ['SECRET="S3cret#more" # a comment', 'S3cret#more'],
    ['SECRET=`S3cret#"\'`', 'S3cret#"\''],
    ['SECRET=S3cret # a comment', 'S3cret'],
    ['SECRET=S3cret #', 'S3cret'],
    ['SECRET= # nothing yet', ''],
    ['# SECRET=S3cret#more\nSECRET=x', 'x'],
    ['SECRET="two\nlines#3"', 'two\nlines#3'],
    ['SECRET=a=b&c', 'a=b&c'],
  ] as const) {
    t.strictSame(problemsIn(line, {}), [], line)
    t.equal(parseEnv(line).SECRET, value)
  }
  t.strictSame(problemsIn('SECRET=S3cret#more', { SECRET: 'set elsewhere' }), [], 'it is not read')
})

t.test('the file is read into the environment, or not at all', async (t) => {
  const file = join(t.testdir(), '.env')
  t.teardown(() => {
    for (const name of ['TTS_TEST_ONE', 'TTS_TEST_TWO']) delete process.env[name]
  })
  readEnvFile(file)
  writeFileSync(file, 'TTS_TEST_ONE=one\nTTS_TEST_TWO=a#b\n')
  t.throws(() => readEnvFile(file), ConfigError)
  t.equal(process.env.TTS_TEST_ONE, undefined)
  writeFileSync(file, "\uFEFFTTS_TEST_ONE=one\nTTS_TEST_TWO='a#b'\n")
  readEnvFile(file)
  t.match(process.env, { TTS_TEST_ONE: 'one', TTS_TEST_TWO: 'a#b' })
})
