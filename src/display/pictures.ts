// What kind of picture bytes are: told by the bytes, whatever a name or a header says.
export type PictureType = 'image/jpeg' | 'image/png' | 'image/webp'

export function pictureTypeOf(bytes: Buffer): PictureType | undefined {
  if (bytes.subarray(0, 3).equals(Buffer.from([0xff, 0xd8, 0xff]))) return 'image/jpeg'
  if (bytes.subarray(0, 8).equals(Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'))) return 'image/png'
  if (bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP') return 'image/webp'
  return undefined
}

/** A drawing may hold a program: whoever serves one serves it with a policy that runs nothing. */
export function isSvg(bytes: Buffer): boolean {
  const start = bytes.toString('utf8').replace(/^\uFEFF?(\s|<\?xml[^>]*>|<!--.*?-->|<!DOCTYPE[^>[]*>)*/s, '')
  return /^<svg[\s>]/.test(start)
}
