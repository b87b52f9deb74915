// `accounts disconnect`: the emergency stop, for one owner or for everybody. `accounts reconcile` has a room of its own.
import { countLiveAccounts } from '../db/disconnects.ts'
import { ServiceError } from '../errors.ts'
import { onParts, operator } from './database.ts'
import { confirmed, nothingMore, parse, print, say, startProgress, UsageError, wholeNumber } from './terminal.ts'

export async function accounts(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, {
    owner: { type: 'string' },
    all: { type: 'boolean', default: false },
    yes: { type: 'boolean', default: false },
    'per-second': { type: 'string', default: '5' },
    'dry-run': { type: 'boolean', default: false },
    notify: { type: 'boolean', default: false },
    again: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  })
  nothingMore(positionals.slice(1))
  if (positionals[0] === 'reconcile') {
    if (values['dry-run'] && values.notify) throw new UsageError('A dry run tells nobody: leave out --notify.')
    const { reconcileAccounts } = await import('./reconcile.ts')
    return reconcileAccounts({
      dryRun: values['dry-run'],
      notify: values.notify,
      again: values.again,
      json: values.json,
      perSecond: wholeNumber('--per-second', values['per-second'], 1, 1000),
    })
  }
  if (positionals[0] !== 'disconnect') throw new UsageError('accounts knows disconnect and reconcile.')
  const { owner, all } = values
  if ((owner === undefined) !== all) throw new UsageError('accounts disconnect needs --owner O or --all.')
  const emergency = {
    ownerId: owner ?? null,
    actor: operator,
    perSecond: wholeNumber('--per-second', values['per-second'], 1, 1000),
  }

  const { disconnectMany, revokeMany } = await import('../operate/disconnect-many.ts')
  return onParts(async (parts) => {
    const count = await countLiveAccounts(parts.db, emergency.ownerId)
    if (
      all &&
      !values.yes &&
      count > 0 &&
      !(await confirmed(`Disconnect all ${count} accounts? Each person would have to connect again.`))
    )
      throw new UsageError('Nothing was disconnected; add --yes to confirm.')

    const disconnecting = startProgress('disconnecting')
    const ended = await disconnectMany(parts, emergency, disconnecting.show).finally(() => disconnecting.end())
    print(`${ended} accounts are disconnected: none of their tokens is handed out any more`)

    // With the wrong keys each revocation would be postponed as unreadable.
    await parts.keyring.check()
    if (!parts.keyring.fits) {
      const detail =
        'TikTok is not told by this command, because its VAULT_KEYS are not those of the service. Running replicas tell it.'
      throw new ServiceError('keyring_mismatch', detail)
    }
    say('Telling TikTok now. If this command is stopped, running replicas continue, and so does running it again.')
    const revoking = startProgress('revoking')
    await revokeMany(parts, emergency, revoking.show).finally(() => revoking.end())
    print('TikTok has been told of every one of them')
  })
}
