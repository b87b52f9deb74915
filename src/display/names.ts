// Names as people write them at TikTok and elsewhere: of nothing that can be seen, in any direction, with more marks than a line has room
// for. Whoever shows one asks here.

/** Spaces, controls, formats, fillers, and marks without a letter. The blank of Braille and the empty note head are symbols to Unicode. */
const unseen = /[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\p{Cs}\p{M}\u2800\u{1D159}]/gu

export const isVisible = (name: string): boolean => name.replace(unseen, '') !== ''

/** A name for a line of its own, without what would turn the text around it or reach into other lines; null when there is nothing to see. */
export function shown(name: string | null): string | null {
  if (name === null || !isVisible(name)) return null
  return name
    .replace(/\p{Bidi_Control}/gu, '')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .replace(/(\p{M}{4})\p{M}+/gu, '$1')
    .trim()
}

/** What stands for a picture: the first letter, with its marks, or the first emoji with all of its parts. */
export function initialOf(name: string): string {
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(name)) {
    if (isVisible(segment)) return segment
  }
  return '?'
}

/** The blocks of Unicode whose letters run from right to left, by its table of bidirectional classes. */
const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u

/**
 * A shown name inside of a sentence, apart from its direction (UAX 9, FSI and PDI): for texts and attributes, where no element can do it.
 *
 * @param dir of the sentence
 */
export function inSentence(name: string, dir: 'ltr' | 'rtl'): string {
  return dir === 'ltr' && !rightToLeft.test(name) ? name : `\u2068${name}\u2069`
}
