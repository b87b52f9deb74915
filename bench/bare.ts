// The yardstick for vend.ts: the barest Fastify route that reads the row, without authentication, audit or decryption.
import Fastify from 'fastify'
import { openDb } from '../src/db/client.ts'

const db = openDb({ url: process.env.DATABASE_URL ?? '' })
const app = Fastify({ logger: false })
app.get<{ Params: { id: string } }>('/accounts/:id/token', async (request, reply) => {
  reply.header('cache-control', 'no-store')
  const rows = await db.run(
    'bare',
    (sql) =>
      sql`select account_id, generation, sealed_access_token, access_expires_at from token_sets where account_id = ${request.params.id}`,
  )
  return rows[0]
})
process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`)
