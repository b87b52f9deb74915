// `vault`: keys made, and everything sealed moved to the primary one.
import { generateVaultKey } from '../vault/keyring.ts'
import { onParts, operator } from './database.ts'
import { nothingMore, parse, print, say, startProgress, Unfinished, UsageError } from './terminal.ts'

export async function vault(argv: string[]): Promise<void> {
  const { values, positionals } = parse(argv, { id: { type: 'string' }, 'dry-run': { type: 'boolean', default: false } })
  nothingMore(positionals.slice(1))
  switch (positionals[0]) {
    case 'keygen':
      print(generateVaultKey(values.id))
      return
    case 'reseal':
      return reseal(values['dry-run'])
    default:
      throw new UsageError('vault knows keygen and reseal.')
  }
}

/**
 * To be run with the same VAULT_KEYS as the service, after every replica has them. The keys of this machine's journal count too.
 *
 * @throws Unfinished when texts are left under another key
 */
async function reseal(dryRun: boolean): Promise<void> {
  const { reseal } = await import('../operate/reseal.ts')
  return onParts(async (parts) => {
    const [primary = ''] = parts.vault.keyIds
    const startedAt = performance.now()
    const progress = startProgress(`${dryRun ? 'opening' : 'resealing'} to ${primary}`)
    const report = await reseal(parts, {
      actor: operator,
      dryRun,
      onProgress: (done, total) => progress.show(done, total, `${Math.round(done / ((performance.now() - startedAt) / 1000))}/s`),
    }).finally(() => progress.end())

    for (const { table, row, keyId } of report.unreadable.slice(0, 20))
      say(`does not open: ${table} ${row}, sealed with "${keyId}"`)
    if (report.unreadable.length > 20) say(`and ${report.unreadable.length - 20} more`)
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    if (dryRun) {
      print(
        `${report.resealed} sealed texts would be moved to "${primary}", ${report.unreadable.length} do not open; nothing was written`,
      )
    } else {
      print(`${report.resealed} sealed texts were moved to "${primary}" in ${seconds} s`)
      for (const keyId of report.retired) print(`"${keyId}": 0 left; it can be taken out of VAULT_KEYS`)
      for (const keyId of report.inJournal)
        print(
          `"${keyId}": 0 rows left, but the journal of a live replica is sealed with it: keep it, and run this again when the replica has sealed its journal anew, which takes it a minute`,
        )
      for (const { keyId, count } of report.left) print(`"${keyId}": ${count} left; keep it in VAULT_KEYS`)
      if (report.retired.length + report.inJournal.length + report.left.length === 0) print('No other key seals anything.')
    }
    const inJournalHere = (await parts.journal.keyIds()).filter((keyId) => keyId !== primary)
    if (inJournalHere.length > 0)
      say(
        `The journal in JOURNAL_DIR here is sealed with ${inJournalHere.join(', ')}: a replica that runs on it seals it anew within a minute.`,
      )
    if (report.unreadable.length > 0 || (!dryRun && report.left.length + report.inJournal.length > 0)) throw new Unfinished()
  })
}
