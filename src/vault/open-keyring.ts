// Where the vault's keys come from: the environment, a file, a program; for development, with the embedded database only, a generated one
// that stays with the data.
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Config, ConfigError } from '../settings/config.ts'
import { generateVaultKey, type Keyring, parseKeyring } from './keyring.ts'
import { keysFromCommand } from './keys-command.ts'

/**
 * @param warn told when a key is generated
 * @param options.commandMs how long VAULT_KEYS_COMMAND may take, where less than usual is meant
 * @throws ConfigError naming the variable, never any part of a key
 */
export async function openKeyring(
  config: Pick<Config, 'vaultKeys' | 'vaultKeysFile' | 'vaultKeysCommand' | 'dataDir'>,
  warn: (sentence: string) => void,
  { commandMs }: { commandMs?: number } = {},
): Promise<Keyring> {
  if (config.vaultKeys !== undefined) return parse(config.vaultKeys, 'VAULT_KEYS')
  if (config.vaultKeysCommand !== undefined)
    return parse(await keysFromCommand(config.vaultKeysCommand, { timeoutMs: commandMs }), 'VAULT_KEYS_COMMAND')
  if (config.vaultKeysFile !== undefined) {
    const text = await readFile(config.vaultKeysFile, 'utf8').catch(() => {
      throw new ConfigError(['VAULT_KEYS_FILE cannot be read'])
    })
    return parse(text.trim(), 'VAULT_KEYS_FILE')
  }
  const file = join(config.dataDir, 'vault.key')
  if (!existsSync(file)) {
    await writeFile(file, generateVaultKey(), { mode: 0o600, flag: 'wx' })
    warn('a development vault key was generated under DATA_DIR; set VAULT_KEYS for anything that matters')
  }
  return parse((await readFile(file, 'utf8')).trim(), 'VAULT_KEYS')
}

function parse(text: string, name: string): Keyring {
  try {
    return parseKeyring(text, name)
  } catch (error) {
    throw new ConfigError([error instanceof Error ? error.message : `${name} cannot be used`])
  }
}
