// `roles`: the service's role and its rights, for machines without psql. Run it as the owner of the tables, after every `migrate`.
import { text } from 'node:stream/consumers'
import { grantRole } from '../db/roles.ts'
import { onDatabase } from './database.ts'
import { nothingMore, parse, print, UsageError } from './terminal.ts'

export async function roles(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, {
    role: { type: 'string', default: 'tiktok_oauth_service' },
    'password-stdin': { type: 'boolean', default: false },
  })
  nothingMore(positionals)
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(values.role))
    throw new UsageError('--role takes lower-case letters, digits and _, 63 at the most, and begins with no digit.')
  const password = values['password-stdin'] ? (await text(process.stdin)).replace(/\r?\n$/, '') : undefined
  if (password === '') throw new UsageError('--password-stdin reads a password from standard input, and there was none.')
  return onDatabase(async (db) => {
    await grantRole(db, values.role, password)
    print(`${values.role} may do the service's work and no more${password === undefined ? '' : ', and has the new password'}`)
  })
}
