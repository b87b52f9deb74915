// From the bytes of a body to what they say: content codings and charsets. We ask for neither, but any may stand between, and a
// token answer that cannot be read is a grant that is lost (RFC 9110 §8.4, §12.5.3: without a header, every coding is legal).
import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync, type ZlibOptions, zstdDecompressSync } from 'node:zlib'

type Decoder = (body: Buffer, options: ZlibOptions) => Buffer

/** Nobody codes a body more often than this; whoever does wants our time. */
const mostLayers = 4

/**
 * Takes off the codings of a body, the last applied one first.
 *
 * @param contentEncoding the header's value; a coding we do not know, or one that is named and not there (a proxy took it off and
 *   left the header), leaves the body as it is
 * @param maxBytes of every layer, so that a bomb ends there
 */
export function decodeBody(body: Buffer, contentEncoding: string, maxBytes: number): Buffer | 'too_large' | 'cut_body' {
  const named = contentEncoding
    .toLowerCase()
    .split(',')
    .reverse()
    .flatMap((coding) => decoders[coding.replace(/;.*/, '').trim()] ?? []) // some answer in the words of Accept-Encoding: `br;q=1`
  // The magic number of gzip begins no JSON and no picture: a coding that the header keeps to itself.
  const layers = named.length === 0 && isGzip(body) ? [gunzipSync] : named
  if (layers.length > mostLayers) return body
  let decoded = body
  for (const takeOff of layers) {
    if (decoded.length === 0) return decoded
    try {
      decoded = takeOff(decoded, { maxOutputLength: maxBytes })
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code === 'ERR_BUFFER_TOO_LARGE') return 'too_large'
      // The bare form has no header to know it by: any plain text may look like the beginning of one.
      if (code === 'Z_BUF_ERROR' && (takeOff !== inflateEither || isZlib(decoded))) return 'cut_body'
    }
  }
  return decoded
}

/** The text of a body, by its byte order mark, else by the charset its type names, else in UTF-8; without the mark and outer space. */
export function textOf(body: Buffer, contentType = ''): string {
  const charset = /;\s*charset\s*=\s*"?([\w.:-]{1,40})/i.exec(contentType)?.[1]
  return decode(body, markOf(body) ?? charset ?? 'utf-8').trim()
}

/** RFC 9110 §8.4.1.2 means the form of zlib; some servers send the bare one. */
const inflateEither: Decoder = (body, options) => (isZlib(body) ? inflateSync(body, options) : inflateRawSync(body, options))

const decoders: Record<string, Decoder> = {
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  deflate: inflateEither,
  br: (body, { maxOutputLength }) => brotliDecompressSync(body, { ...(maxOutputLength && { maxOutputLength }) }),
  zstd: (body, { maxOutputLength }) => zstdDecompressSync(body, { ...(maxOutputLength && { maxOutputLength }) }),
}

/** Both begin with the number of the deflate method, 8 (RFC 1950 §2.2, RFC 1952 §2.3). */
const isZlib = ([first = 0, second = 0]: Buffer) => (first & 0x0f) === 8 && (first * 256 + second) % 31 === 0
const isGzip = (body: Buffer) => body[0] === 0x1f && body[1] === 0x8b && body[2] === 8

function markOf(body: Buffer): string | undefined {
  if (body[0] === 0xff && body[1] === 0xfe) return 'utf-16le'
  if (body[0] === 0xfe && body[1] === 0xff) return 'utf-16be'
  return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 'utf-8' : undefined
}

function decode(body: Buffer, label: string): string {
  try {
    return new TextDecoder(label).decode(body)
  } catch {
    return body.toString('utf8') // a charset that nobody has heard of
  }
}
