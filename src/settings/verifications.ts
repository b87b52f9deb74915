// TikTok's site verification files, as TIKTOK_VERIFICATION names them: by path, or by what stands in them.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'

export interface VerificationFile {
  /** such as `tiktokO7CetRa9odzht3niNrsvitejVAuvQwcW.txt` */
  name: string
  /** to the byte as TikTok wrote it */
  content: string
}

const fileName = /^tiktok([\w-]{4,128})\.txt$/
/** What TikTok writes into the file, and asks for as a DNS record. */
const says = 'tiktok-developers-site-verification='

const remedy =
  'must hold the paths of the files that TikTok gave you, each with the name it has there (tiktokCODE.txt), or their codes; download them again from your app in the developer portal, under URL properties'

/** @returns the files, or what is wrong with one of them. Several, because TikTok asks anew for each address it verifies */
export function readVerifications(items: readonly string[]): VerificationFile[] | string {
  const files = items.map(fileOf)
  const known = files.filter((file) => file !== undefined)
  if (known.length < files.length) return remedy
  return new Set(known.map(({ name }) => name)).size < known.length ? 'names a file twice: keep one' : known
}

function fileOf(item: string): VerificationFile | undefined {
  if (item.includes('/')) return readFile(item)
  const code = item.startsWith(says) ? item.slice(says.length) : (fileName.exec(item)?.[1] ?? item)
  const name = `tiktok${code}.txt`
  // A code that begins with the name is a name without its ending.
  return fileName.test(name) && !code.startsWith('tiktok') ? { name, content: says + code } : undefined
}

function readFile(path: string): VerificationFile | undefined {
  const name = basename(path)
  if (!fileName.test(name)) return undefined
  try {
    const content = readFileSync(path, 'latin1')
    return /^[\x20-\x7e]{1,512}\s{0,4}$/.test(content) ? { name, content } : undefined
  } catch {
    return undefined
  }
}
