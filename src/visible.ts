// Whether anything of a name can be seen. People call themselves by spaces, joiners and fillers only, and a page would show nothing.

/** Spaces, controls, formats and fillers; the blank of Braille is a symbol to Unicode. Marks without a letter are nothing either. */
const unseen = /[\p{White_Space}\p{Default_Ignorable_Code_Point}\p{C}\p{Z}\p{M}\u2800]/gu

export const isVisible = (name: string): boolean => name.replace(unseen, '') !== ''
