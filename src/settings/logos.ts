// The pictures of APP_LOGO, read once at start: what is not a picture, or too large for a page, stops it.
import { hash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { basename, extname } from 'node:path'
import { isSvg, pictureTypeOf } from '../display/pictures.ts'

export interface Logo {
  /** of its file, without the ending: how a connect session asks for it */
  name: string
  contentType: string
  bytes: Buffer
  /** of its bytes, so that another picture has another address */
  tag: string
}

const mostBytes = 256 * 1024

/** @returns the pictures, or what is wrong with one of them */
export function readLogos(files: readonly string[]): Logo[] | string {
  const logos: Logo[] = []
  for (const file of files) {
    const read = bytesOf(file)
    if (typeof read === 'string') return read
    const contentType = pictureTypeOf(read) ?? (isSvg(read) ? 'image/svg+xml' : undefined)
    if (contentType === undefined) return 'names a file that is no PNG, JPEG, WebP or SVG: save the picture as one of these'
    const name = basename(file, extname(file))
    if (logos.some((logo) => logo.name === name)) return 'names two files that differ in folder or ending only: rename one'
    logos.push({ name, contentType, bytes: read, tag: hash('sha256', read).slice(0, 16) })
  }
  return logos
}

function bytesOf(file: string): Buffer | string {
  try {
    if (statSync(file).size > mostBytes) return 'names a file of more than 256 KiB: save the picture smaller'
    return readFileSync(file)
  } catch {
    return 'names a file that cannot be read: check its path and its rights'
  }
}
