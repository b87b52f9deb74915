// The forms of DATABASE_URL that people have: read as psql reads them, and what cannot be meant is refused in words that never quote it.
import t from 'tap'
import { DatabaseUrlError, readDatabaseUrl } from '../../src/settings/database-url.ts'

const read = (url: string, tls?: 'verify' | 'off') => readDatabaseUrl({ url, tls })
const targets = (url: string) => read(url).targets.map(({ host, port, path }) => path ?? `${host} ${port}`)

function refusal(url: string, tls?: 'verify' | 'off'): string {
  try {
    read(url, tls)
  } catch (error) {
    if (error instanceof DatabaseUrlError) return error.message
    throw error
  }
  return 'not refused'
}

t.test('hosts, ports and sockets', async (t) => {
  t.strictSame(targets('postgres://u:p@localhost/db'), ['localhost 5432'])
  t.strictSame(targets('postgresql://u:p@127.0.0.1:5433/db'), ['127.0.0.1 5433'])
  t.strictSame(targets('postgres://u:p@[::1]/db'), ['::1 5432'])
  t.strictSame(targets('postgres://u:p@[::1]:5433/db'), ['::1 5433'])
  t.strictSame(targets('postgres://u:p@[fe80::1%25eth0]/db'), ['fe80::1%eth0 5432'])
  t.strictSame(targets('POSTGRES://u:p@localhost/db'), ['localhost 5432'])
  t.strictSame(targets('postgres:///db'), ['localhost 5432'])
  t.strictSame(targets('postgres://localhost:1,127.0.0.2,[::1]:3/db'), ['localhost 1', '127.0.0.2 5432', '::1 3'])
  t.strictSame(targets('postgres:///db?host=localhost,127.0.0.1&port=1,2'), ['localhost 1', '127.0.0.1 2'])
  const socket = '/run/postgresql/.s.PGSQL'
  t.strictSame(targets('postgres:///db?host=/run/postgresql'), [`${socket}.5432`])
  t.strictSame(targets('postgres:///db?host=%2Frun%2Fpostgresql&port=5433'), [`${socket}.5433`])
  t.strictSame(targets('postgres://u@/db?host=/run/postgresql'), [`${socket}.5432`])
  t.strictSame(targets('postgres://%2Frun%2Fpostgresql/db'), [`${socket}.5432`])
  t.strictSame(targets('postgres://u:p@%2Frun%2Fpostgresql:5433/db'), [`${socket}.5433`])
  t.match(read('postgres://localhost/db?hostaddr=127.0.0.7').targets, [{ host: 'localhost', address: '127.0.0.7' }])
})

t.test('who and what', async (t) => {
  const who = (url: string) => {
    const { user, password, database } = read(url)
    return [user, password, database]
  }
  t.strictSame(who('postgres://u:p%2F%23%3F%25%40%3A@localhost/a%20b'), ['u', 'p/#?%@:', 'a b'])
  t.strictSame(who('postgres://u@localhost/db'), ['u', undefined, 'db'])
  t.strictSame(who('postgres://u:p@localhost/db\n'), ['u', 'p', 'db'])
  t.strictSame(who('postgres://me@server:p@localhost/db'), ['me@server', 'p', 'db'], 'a user with an @, as one cloud has them')
  t.strictSame(who('postgres://u:p:q@localhost'), ['u', 'p:q', 'u'], 'the database is called after the user')
  t.strictSame(who('postgres://localhost?user=u&password=p%26q&dbname=db'), ['u', 'p&q', 'db'])
  const otherwise = (url: string) => readDatabaseUrl({ url, password: 'p/w' }).password
  t.equal(otherwise('postgres://u@localhost/db'), 'p/w')
  t.equal(otherwise('postgres://u:@localhost/db'), 'p/w')
  t.equal(otherwise('postgres://u:q@localhost/db'), 'q')
  t.ok(read('postgres://localhost').user, 'whoever the process runs as')
  t.match(read('postgres://u@localhost/db?application_name=mine&options=-c%20work_mem%3D64MB&keepalives=1&connect_timeout=3'), {
    applicationName: 'mine',
    options: '-c work_mem=64MB',
  })
})

t.test('several servers: the one that takes writes, unless it is said otherwise', async (t) => {
  t.equal(read('postgres://localhost/db').writable, false)
  t.equal(read('postgres://localhost:1,localhost:2/db').writable, true)
  t.equal(read('postgres://localhost:1,localhost:2/db?target_session_attrs=any').writable, false)
  for (const word of ['read-write', 'primary'])
    t.equal(read(`postgres://localhost/db?target_session_attrs=${word}`).writable, true)
  for (const word of ['standby', 'read-only', 'prefer-standby', 'x'])
    t.match(
      refusal(`postgres://localhost/db?target_session_attrs=${word}`),
      /not one of any, read-write, primary, because the service writes/,
    )
})

t.test('a server elsewhere has to prove who it is, or DATABASE_TLS=off says that it need not', async (t) => {
  const far = 'postgres://u:p@db.example.com/db'
  const mode = (url: string, tls?: 'verify' | 'off') => read(url, tls).targets.map(({ tls }) => tls)
  t.strictSame(mode(far), ['verify-full'])
  t.strictSame(mode('postgres://u:p@10.0.0.5/db'), ['verify-full'])
  t.strictSame(mode(`${far}?sslrootcert=/x.pem`), ['verify-full'])
  t.strictSame(mode(`${far}?sslrootcert=system`), ['verify-full'])
  t.strictSame(mode(`${far}?sslmode=verify-ca&sslrootcert=/x.pem`), ['verify-ca'])
  t.strictSame(mode(`${far}?sslmode=require&sslrootcert=/x.pem`), ['verify-ca'], 'as psql does')
  for (const word of ['disable', 'allow', 'prefer', 'require']) {
    t.match(refusal(`${far}?sslmode=${word}`), /write sslmode=verify-full.*DATABASE_TLS=off lets it stand/)
    t.match(refusal(`${far}?sslmode=${word}`, 'verify'), /write sslmode=verify-full/)
  }
  t.match(refusal(`${far}?ssl=true`), /write sslmode=verify-full/)
  t.strictSame(mode(far, 'off'), ['disable'])
  t.strictSame(mode(`${far}?sslmode=require`, 'off'), ['require'])
  t.strictSame(mode(`${far}?sslmode=verify-full`, 'off'), ['verify-full'])
  for (const near of ['localhost', '127.0.0.1', '127.8.8.8', '[::1]', 'LOCALHOST'])
    t.strictSame(mode(`postgres://u:p@${near}/db`), ['disable'], near)
  t.strictSame(mode('postgres://u:p@localhost/db', 'verify'), ['verify-full'])
  t.strictSame(mode('postgres:///db?host=/run/postgresql', 'verify'), ['disable'], 'nobody stands between the ends of a socket')
  t.strictSame(mode('postgres://localhost,db.example.com/db'), ['disable', 'verify-full'], 'each host for itself')
  t.strictSame(mode('postgres://db.example.com/db?hostaddr=127.0.0.1'), ['disable'], 'a tunnel ends on this machine')
  t.match(refusal('postgres://localhost/db?hostaddr=10.0.0.5&sslmode=require'), /write sslmode=verify-full/)
  t.match(refusal(`${far}?sslmode=verify-ca`), /without sslrootcert=FILE/)
  t.match(refusal(`${far}?sslmode=require&sslrootcert=system`), /goes with sslmode=verify-full only/)
  t.match(refusal(`${far}?channel_binding=require`), /take that parameter away and write sslmode=verify-full/)
  for (const word of ['prefer', 'disable']) t.strictSame(mode(`${far}?channel_binding=${word}`), ['verify-full'])
})

t.test('what cannot be meant is refused, and nothing of it is shown', async (t) => {
  const secret = 'S3cret'
  const encode = /percent-encode every character/
  for (const form of [
    '"postgres://u:s3cret@h/db"',
    'jdbc:postgresql://h/db?password=s3cret',
    'mysql://u:s3cret@h/db',
    'postgres:u',
    'host=h password=s3cret',
  ]) {
    t.match(
      refusal(form),
      /^does not begin with postgres:\/\/: write postgres:\/\/USER:PASSWORD@HOST:PORT\/DATABASE, without quotes/,
    )
    t.notMatch(refusal(form), 's3cret')
  }
  for (const form of [
    'postgres://u%00options%00x:p@localhost/db',
    'postgres://localhost/db%00x',
    'postgres://localhost/db?options=a%00b',
  ])
    t.match(refusal(form), /^has a %00/)
  for (const password of [
    `${secret}/x`,
    `${secret}#x`,
    `${secret}?x`,
    `12/${secret}`,
    `12#${secret}`,
    `12?${secret}`,
    `${secret}%`,
    `%zz${secret}`,
    `x@${secret}/y`,
  ])
    t.match(refusal(`postgres://u:${password}@localhost:5432/db`), encode, password)
  for (const url of ['postgres://', 'postgres://u:p@localhost:port/db', 'postgres://localhost:70000/db'])
    t.match(refusal(url), encode, url)
  t.match(refusal('postgres://localhost/db?schema=x'), /parameter that is not known: schema\. Take it away/)
  t.match(refusal(`postgres://localhost/db?${secret}${'x'.repeat(40)}=x`), /its name is no word/)
  t.match(refusal('postgres://localhost/db?sslmode=full'), /sslmode that is not one of disable, allow/)
  t.match(refusal('postgres://a,b/db?port=1,2,3'), /hosts and ports in different numbers/)
  for (const url of [`postgres://u:${secret}@h:x/db`, `postgres://u:${secret}@h/db?sslmode=${secret}`])
    t.notMatch(refusal(url), secret)
})
