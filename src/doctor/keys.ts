// The vault's keys: whether they can be read, and whether they open what the database holds.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Config, ConfigError } from '../settings/config.ts'
import type { Keyring } from '../vault/keyring.ts'
import { openKeyring } from '../vault/open-keyring.ts'
import { createVault } from '../vault/vault.ts'
import type { DatabaseObservation } from './database.ts'
import { command, type Finding, fault, type Observation, type Patient, skipped, warning } from './finding.ts'

export interface KeysObservation extends Observation {
  /** undefined: they cannot be used, or there are none yet */
  keyring: Keyring | undefined
}

/** For VAULT_KEYS_COMMAND: less than a start gives it. */
const commandMs = 4_000

export async function examineKeys({ config, isBad }: Patient, database: Promise<DatabaseObservation>): Promise<KeysObservation> {
  if (isBad('VAULT_KEYS', 'VAULT_KEYS_FILE', 'VAULT_KEYS_COMMAND')) return { ...skipped, keyring: undefined }
  if (isMadeAtStart(config))
    return { findings: [], seen: `none yet: the first start makes one under ${config.dataDir}`, keyring: undefined }
  let keyring: Keyring
  try {
    keyring = await openKeyring(config, () => {}, { commandMs })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { findings: error.problems.map(ofProblem), seen: undefined, keyring: undefined }
  }
  const { memory } = await database
  const compared = memory === undefined ? ', not compared with the database' : ''
  return {
    findings: [...ofSource(config), ...ofCanaries(keyring, memory)],
    seen: `${keyring.ids.join(', ')}${compared}`,
    keyring,
  }
}

/** Opening the keyring would write one. */
const isMadeAtStart = ({ vaultKeys, vaultKeysFile, vaultKeysCommand, dataDir }: Config) =>
  vaultKeys === undefined &&
  vaultKeysFile === undefined &&
  vaultKeysCommand === undefined &&
  !existsSync(join(dataDir, 'vault.key'))

function ofProblem(sentence: string): Finding {
  const [what = sentence, advice] = sentence.split('; ')
  const isEntry = / entry \d+ /.test(what)
  const spoken = what.split(': ') // VAULT_KEYS_COMMAND says what to do behind a colon
  const remedy = /did not end within/.test(what)
    ? 'Run the program by hand, as this user, and see why it is slow: a start waits for 30 s.'
    : isEntry
      ? `${advice ? '' : 'Correct that entry: ID:BASE64, separated by commas. '}${command('vault keygen')} prints a new key; what an old one sealed needs the old one still.`
      : spoken.length > 1
        ? `${spoken.slice(1).join(': ')}.`
        : 'Correct its path or its rights: this user has to be able to read it.'
  return fault(
    `${isEntry ? what : spoken[0]}.`,
    'Without the keys nothing can be opened or sealed, and the service does not start.',
    `${remedy.charAt(0).toUpperCase()}${remedy.slice(1)}`,
  )
}

function ofSource({ databaseUrl, vaultKeys, vaultKeysFile, vaultKeysCommand, dataDir }: Config): Finding[] {
  if (databaseUrl === undefined || vaultKeys !== undefined || vaultKeysFile !== undefined || vaultKeysCommand !== undefined)
    return []
  return [
    warning(
      `The vault's key is the generated one under ${dataDir}.`,
      'It is lost with that directory, and every token with it.',
      'Put it into VAULT_KEYS.',
    ),
  ]
}

/** A canary that does not open tells what the tokens would say one by one. */
function ofCanaries(keyring: Keyring, memory: DatabaseObservation['memory']): Finding[] {
  const vault = createVault(keyring)
  const why =
    'What is sealed with it cannot be opened, and the service stays unready (keyring_mismatch). Nothing is lost as long as the key is somewhere.'
  return (memory?.canaries ?? []).flatMap(({ keyId, sealedCanary }) => {
    if (vault.checkCanary(keyId, sealedCanary)) return []
    return keyring.ids.includes(keyId)
      ? [
          fault(
            `The vault key "${keyId}" is not the one that this database was sealed with: other bytes have its id.`,
            why,
            `Put the right bytes under "${keyId}", from where keys are kept. A new key needs an id of its own: ${command('vault keygen --id k2')}, written in front of the old one.`,
          ),
        ]
      : [
          fault(
            `The database holds what is sealed with the vault key "${keyId}", which is not among the keys here.`,
            why,
            `Put "${keyId}:BASE64" back, behind the first key. When nothing needs it any more, ${command('vault reseal')} says so.`,
          ),
        ]
  })
}
