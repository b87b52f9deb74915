// A process that owns an embedded PostgreSQL, for tests that kill it. On SIGINT it stores one more row, as the service
// does with a refresh in flight, and only then stops the server.
import postgres from 'postgres'
import { startEmbeddedPostgres } from '../../tools/embedded-postgres/embedded.ts'

const [dataDir = ''] = process.argv.slice(2)
const server = await startEmbeddedPostgres({ dataDir, throwaway: true })
const sql = postgres(server.url, { max: 1, onnotice: () => {} })
await sql`create table if not exists stored (what text)`

process.on('SIGINT', async () => {
  await new Promise((resolve) => setTimeout(resolve, 200)) // the terminal's signal has long reached the whole group
  await sql`insert into stored values ('after ctrl-c')`
  await sql.end()
  await server.stop()
  process.exit()
})

process.send?.(server.url)
