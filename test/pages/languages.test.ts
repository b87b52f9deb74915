// What people read, in seven languages: nothing is missing, foreign, too long or said with other values than in English.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { IntlMessageFormat } from 'intl-messageformat'
import t from 'tap'
import { failureCodes } from '../../src/failures.ts'
import { ar } from '../../src/pages/languages/ar.ts'
import { de } from '../../src/pages/languages/de.ts'
import { type Catalogue, en } from '../../src/pages/languages/en.ts'
import { es } from '../../src/pages/languages/es.ts'
import { fr } from '../../src/pages/languages/fr.ts'
import { ja } from '../../src/pages/languages/ja.ts'
import { ptBR } from '../../src/pages/languages/pt-br.ts'
import { type Language, languageCodes } from '../../src/pages/languages.ts'
import { tongueOf } from '../../src/pages/tongue.ts'

const catalogues: Record<Language, Catalogue> = { ar, de, en, es, fr, ja, 'pt-BR': ptBR }
const keys = Object.keys(en) as (keyof Catalogue)[]

/** Words that are the same in both languages. */
const sameAsEnglish: Partial<Record<Language, (keyof Catalogue)[]>> = {
  de: ['connect.type.creator'],
  'pt-BR': ['not_granted.one'],
}

/** How many signs of a text stand where an English one has so many: short words may be twice as long, sentences hardly longer. */
const longest = (english: number) => Math.max(english * 1.6, english + 20)

const same = (some: string[], others: string[]) => [...some].sort().join() === others.join()

type Element = ReturnType<IntlMessageFormat['getAst']>[number]

/** Each value of a message with how it is written, such as `limit: number`; and the choices of its plurals. */
function valuesOf(elements: Element[]): { values: string[]; choices: string[][] } {
  const found = elements.map((element) => {
    const name = 'value' in element ? element.value : ''
    if (!('options' in element)) {
      const kind = ['', 'text', 'number'][element.type]
      return { values: kind ? [`${name}: ${kind}`] : [], choices: [] }
    }
    const inside = Object.values(element.options).map(({ value }) => valuesOf(value))
    return {
      values: [`${name}: number`, ...inside.flatMap(({ values }) => values)],
      choices: [Object.keys(element.options), ...inside.flatMap(({ choices }) => choices)],
    }
  })
  return { values: found.flatMap(({ values }) => values).sort(), choices: found.flatMap(({ choices }) => choices) }
}

/** How long it is when it is said; of a plural, the longest form. A value counts as a name of eight signs. */
function signsOf(elements: Element[]): number {
  const sizes = elements.map((element) => {
    if ('options' in element) return Math.max(...Object.values(element.options).map(({ value }) => signsOf(value)))
    return element.type === 0 ? element.value.length : 8
  })
  return sizes.reduce((sum, size) => sum + size, 0)
}

function read(message: string, language: Language) {
  const elements = new IntlMessageFormat(message, language, undefined, { ignoreTag: true }).getAst()
  return { ...valuesOf(elements), signs: signsOf(elements) }
}

for (const language of languageCodes) {
  t.test(`${language} says what English says`, async (t) => {
    const catalogue = catalogues[language]
    t.same(Object.keys(catalogue).sort(), [...keys].sort(), 'every text is there, and no other')
    // A list, as an assertion for each of the thousands costs more than looking at them.
    const wrong: string[] = []
    const expect = (isRight: boolean, otherwise: string) => void (isRight || wrong.push(otherwise))
    for (const key of keys) {
      const text = catalogue[key]
      const { values, choices, signs } = read(text, language)
      const english = read(en[key], 'en')
      expect(same(values, english.values), `${key} is said with other values`)
      const forms = [...new Intl.PluralRules(language).resolvedOptions().pluralCategories].sort()
      // Where all forms are alike, `other` alone says so.
      for (const choice of choices)
        expect(choice.length === 1 || same(choice, forms), `${key} lacks a plural of its language, or has another's`)
      expect(signs <= longest(english.signs), `${key} has ${signs} signs where English has ${english.signs}`)
      expect(!/^\s|\s$|["']|\.\.\.| {2}/.test(text), `${key} is not set with the signs of print`)
      const alike = language === 'en' || sameAsEnglish[language]?.includes(key) === true
      expect((text === en[key]) === alike, `${key} is not translated, or no longer as in English`)
    }
    t.same(wrong, [])
    // A name for assistive technology holds what is seen, so that people can say what they see (WCAG 2.5.3).
    const heard = (key: keyof Catalogue) => catalogue[key].toLowerCase().replace(/\{.*?\}/, '')
    for (const key of keys)
      if (key.endsWith('_which'))
        t.ok(heard(key).includes(heard(key.replace('_which', '') as keyof Catalogue)), `${key} holds its button`)
  })
}

t.test('French keeps its signs and its words together', async (t) => {
  t.same(
    keys.filter((key) => / [?:;!»]|« /.test(fr[key])),
    [],
  )
})

t.test('every failure has its words in every language, and no other than the one it is asked for in', async (t) => {
  for (const language of languageCodes) {
    const { say, sayIfKnown } = await tongueOf(language)
    for (const code of failureCodes) {
      const title = sayIfKnown(`failure.${code}`)
      t.equal(title === undefined, sayIfKnown(`failure.${code}.text`) === undefined, code)
    }
    t.equal(say('failure.other'), catalogues[language]['failure.other'])
  }
})

t.test('numbers, plurals, times and lists are those of the language', async (t) => {
  const now = new Date('2026-11-27T12:00:00Z')
  const soon = new Date('2026-11-27T15:00:00Z')
  const said = async (language: Language) => {
    const { say, day, list, upcoming, duration } = await tongueOf(language)
    const followers = [1, 2, 5, 1_234_567].map((count) => say('account.followers', { count }))
    return [
      ...followers,
      say('page.places', { used: 1, limit: 3 }),
      day(now),
      list(['a', 'b', 'c']),
      upcoming(soon, now),
      duration(600),
    ]
  }
  const plain = async (language: Language) => (await said(language)).map((text) => text.replace(/[\u00a0\u202f]/g, ' '))
  t.same(await plain('en'), [
    '1 follower',
    '2 followers',
    '5 followers',
    '1,234,567 followers',
    '1 of 3 places used',
    'November 27, 2026',
    'a, b, and c',
    'in 3 hours (15:00 UTC)',
    '10 minutes',
  ])
  t.match(await plain('de'), ['1 Follower', '2 Follower', '5 Follower', '1.234.567 Follower', '1 von 3 Plätzen belegt'])
  t.match(await plain('fr'), ['1 abonné', '2 abonnés', '5 abonnés', '1 234 567 abonnés'])
  t.match(await plain('ja'), ['フォロワー 1 人', 'フォロワー 2 人', 'フォロワー 5 人', 'フォロワー 1,234,567 人'])
  t.match(await plain('ar'), ['متابع واحد', 'متابعان', '5 متابعين', /^1,234,567 متابعًا$/])
})

t.test('a name that runs the other way stands apart from the words around it', async (t) => {
  const arabic = await tongueOf('ar')
  const english = await tongueOf('en')
  t.equal(english.say('disconnect.title', { name: 'نورة' }), 'Disconnect \u2068نورة\u2069')
  t.equal(english.say('disconnect.title', { name: 'Mara' }), 'Disconnect Mara')
  t.equal(arabic.say('disconnect.title', { name: 'Mara' }), 'فك ربط \u2068Mara\u2069')
  t.equal(arabic.say('account.seen', { ago: 'الآن' }), 'شوهد الآن', 'what is in its language already does not')
  t.equal(arabic.say('disconnect.title', { name: 'نورة' }), 'فك ربط \u2068نورة\u2069')
})

t.test('only the languages that are used are loaded, and nothing of it at start', async (t) => {
  const src = join(import.meta.dirname, '../../src')
  for (const file of readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))) {
    const statics = readFileSync(join(src, file), 'utf8').matchAll(
      /^import (?!type )[^'"]*?from '(intl-messageformat|[^']*\/languages\/[^']+)'/gms,
    )
    t.same(
      [...statics].map(([, specifier]) => specifier),
      [],
      file,
    )
  }
})
