// What people call themselves, and what is shown of it.
import t from 'tap'
import { initialOf, inSentence, isVisible, shown } from '../src/display/names.ts'

t.test('a name of nothing that can be seen is none', (t) => {
  const nothing = [
    ...[
      '',
      ' ',
      '\u00a0',
      '\u2003\u3000',
      '\t\n',
      '\u200b',
      '\u200d\u200c',
      '\u2060',
      '\ufeff',
      '\u00ad',
      '\u034f',
      '\u061c',
      '\u180e',
    ],
    ...[
      '\u115f',
      '\u1160',
      '\u3164',
      '\uffa0',
      '\u2800',
      '\u{1d159}',
      '\ufe0f',
      '\u{e0041}',
      '\u202e',
      '\u2066\u2069',
      '\u0301',
      '\ud800',
    ],
    ' \u200b\u2800\u3164 ',
  ]
  for (const name of nothing) t.notOk(isVisible(name), JSON.stringify(name))
  for (const name of nothing) t.equal(shown(name), null)
  for (const name of ['a', '.', '_', '0', '東', 'نورة', '\u200bx', '👩🏽‍🚀', '❤️', 'Ω', '\uf8ff', 'e\u0301', '♀'])
    t.ok(isVisible(name), JSON.stringify(name))
  t.equal(shown(null), null)
  t.end()
})

t.test('a name stays on its line and leaves the text around it as it is', (t) => {
  t.equal(shown('\u202eevil\u202c \u2067x'), 'evil x')
  t.equal(shown('two\nlines\u2028more'), 'two lines more')
  t.equal(shown(`Z${'\u0301'.repeat(40)}algo`), `Z${'\u0301'.repeat(4)}algo`)
  for (const name of ['Zsófia Ærøskøbing-Nguyễn 東京', 'نورة الحسيني ✨', 'נוֹרָה', 'สวัสดี', '👩🏽‍🚀', 'क्षत्रिय'])
    t.equal(shown(name), name)
  t.end()
})

t.test('a sentence keeps its order, whatever runs from right to left in it', (t) => {
  t.equal(inSentence('Mara', 'ltr'), 'Mara')
  for (const name of ['نورة', 'נורה', 'Mara نورة', '𞤀𞤁']) t.equal(inSentence(name, 'ltr'), `\u2068${name}\u2069`)
  t.equal(inSentence('@mara', 'rtl'), '\u2068@mara\u2069')
  t.end()
})

t.test('the initial is a whole letter', (t) => {
  t.equal(initialOf('👩🏽‍🚀 Zsófia'), '👩🏽‍🚀')
  t.equal(initialOf('e\u0301tude'), 'e\u0301')
  t.equal(initialOf('\u200b نورة'), 'ن')
  t.equal(initialOf('\u200b'), '?')
  t.end()
})
