/** What may be shown of a request: everything but what opens something. A masked value keeps its beginning and a print, so that the same one is known again. */
import { hash } from 'node:crypto'

const secretNames = new Set([
  'access_token',
  'authorization',
  'client_secret',
  'code',
  'code_verifier',
  'cookie',
  'refresh_token',
  'set-cookie',
  'state',
  'token',
  'upload_token',
  'x-signature',
])
const secretShapes = /\b(act|rft|clt)\.[\w!*.~-]+/g
const addresses = /https?:\/\/[^\s"'<>]+/g

export function masked(value: string): string {
  if (value === '') return ''
  const [prefix = ''] = /^(act|rft|clt)\./.exec(value) ?? []
  return `${prefix}…${hash('sha256', value).slice(0, 8)}`
}

/** A query or a form, a line for each of its fields. */
export function maskedFields(fields: URLSearchParams, separator: string): string {
  return Array.from(fields, ([name, value]) => `${name}=${maskedField(name, value)}`).join(separator)
}

export function maskedUrl(address: string): string {
  const [place = '', query] = address.split(/\?(.*)/s)
  return query === undefined ? place : `${place}?${maskedFields(new URLSearchParams(query), '&')}`
}

/** JSON, indented; anything else as text. */
export function maskedText(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return JSON.stringify(value, replacer, 2)
  } catch {
    // Not JSON, then.
  }
  return loose(text)
}

function maskedField(name: string, value: string): string {
  return secretNames.has(name.toLowerCase()) ? masked(value) : loose(value)
}

/** A failure's `code` is a word and no secret: only in a query or a form it opens something. */
function replacer(name: string, value: unknown): unknown {
  if (typeof value !== 'string') return value
  return name === 'code' ? loose(value) : maskedField(name, value)
}

function loose(text: string): string {
  return text.replace(addresses, maskedUrl).replace(secretShapes, masked)
}
