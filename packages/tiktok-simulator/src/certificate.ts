/**
 * A certificate for TikTok's hosts and the authority that signed it, made anew at every start. A library for this would be larger than
 * the rest of the package with all it needs, for the one certificate that is written here; nothing is parsed.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** PEM texts. The authority's own key is not among them: it is gone when its one certificate is signed. */
export interface Certificate {
  readonly authority: string
  readonly certificate: string
  readonly key: string
}

const dayMs = 86_400_000
const lifeMs = 90 * dayMs

/** @param domains each with all the names right under it; the authority can vouch for no others (RFC 5280 §4.2.1.10) */
export function certificateFor(domains: readonly string[], now = new Date()): Certificate {
  const root = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const rootName = 'TikTok simulator, a throw-away authority'
  const issued = (subject: string, publicKey: KeyObject, extensions: readonly Buffer[]) =>
    pem(signedBy(root.privateKey, toBeSigned({ issuer: rootName, subject, publicKey, extensions, now })))
  return {
    authority: issued(rootName, root.publicKey, [
      extension('2.5.29.19', sequence(boolean(true)), 'critical'), // basic constraints: an authority
      extension('2.5.29.15', bits(0x06, 1), 'critical'), // key usage: signs certificates and lists
      extension('2.5.29.14', tagged(0x04, keyId(root.publicKey))),
      extension('2.5.29.30', sequence(tagged(0xa0, ...domains.map((name) => sequence(dnsName(name))))), 'critical'),
    ]),
    certificate: issued(domains[0] ?? '', leaf.publicKey, [
      extension('2.5.29.19', sequence(), 'critical'),
      extension('2.5.29.15', bits(0x80, 7), 'critical'), // signs
      extension('2.5.29.37', sequence(objectId('1.3.6.1.5.5.7.3.1'))), // as a server
      extension('2.5.29.14', tagged(0x04, keyId(leaf.publicKey))),
      extension('2.5.29.35', sequence(tagged(0x80, keyId(root.publicKey)))),
      extension('2.5.29.17', sequence(...domains.flatMap((name) => [dnsName(name), dnsName(`*.${name}`)]))),
    ]),
    key: leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

interface Content {
  issuer: string
  subject: string
  publicKey: KeyObject
  extensions: readonly Buffer[]
  now: Date
}

/** RFC 5280 §4.1.2. */
function toBeSigned({ issuer, subject, publicKey, extensions, now }: Content): Buffer {
  const serial = randomBytes(16)
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f) // positive, and without a zero in front
  return sequence(
    tagged(0xa0, integer(Buffer.of(2))), // version 3
    integer(serial),
    ecdsaWithSha256,
    name(issuer),
    sequence(time(new Date(now.getTime() - dayMs)), time(new Date(now.getTime() + lifeMs))),
    name(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions)),
  )
}

function signedBy(key: KeyObject, content: Buffer): Buffer {
  return sequence(content, ecdsaWithSha256, bitString(0, sign('sha256', content, key)))
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

const keyId = (key: KeyObject) =>
  createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()

/** A name with nothing but a common name. */
const name = (commonName: string) => sequence(tagged(0x31, sequence(objectId('2.5.4.3'), tagged(0x0c, Buffer.from(commonName)))))

const dnsName = (host: string) => tagged(0x82, Buffer.from(host))

const extension = (id: string, value: Buffer, critical?: 'critical') =>
  sequence(objectId(id), ...(critical ? [boolean(true)] : []), tagged(0x04, value))

const sequence = (...parts: readonly Buffer[]) => tagged(0x30, ...parts)
const boolean = (value: boolean) => tagged(0x01, Buffer.of(value ? 0xff : 0))
const integer = (value: Buffer) => tagged(0x02, value)
const bitString = (unused: number, value: Buffer) => tagged(0x03, Buffer.of(unused), value)
const bits = (value: number, unused: number) => bitString(unused, Buffer.of(value))
/** Of this century, up to 2049 (RFC 5280 §4.1.2.5.1). */
const time = (date: Date) => tagged(0x17, Buffer.from(`${date.toISOString().replace(/\D/g, '').slice(2, 14)}Z`))

function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = rest.flatMap((arc) => {
    const groups = [arc & 0x7f]
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift(0x80 | (left & 0x7f))
    return groups
  })
  return tagged(0x06, Buffer.from([first * 40 + second, ...bytes]))
}

function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const ecdsaWithSha256 = sequence(objectId('1.2.840.10045.4.3.2'))
