// A page's texts in one language: ICU messages, and numbers, times and lists as people of that language write them. Only the languages
// that are used are loaded, at the first page, and a message is compiled when it is first said.
import type { IntlMessageFormat } from 'intl-messageformat'
import { inSentence } from '../display/names.ts'
import { type Formats, formatsOf } from './formats.ts'
import type { Catalogue, en } from './languages/en.ts'
import type { Language } from './languages.ts'

type English = typeof en
export type Key = keyof English

/** The arguments of a message, as the English one names them. What stands in a branch of a plural has a space or is no argument. */
type Holes<Message extends string> = Message extends `${string}{${infer Rest}`
  ? (Rest extends `${infer Hole}}${string}` ? Named<Hole> : never) | Holes<Rest>
  : never
type Named<Hole extends string> = Hole extends `${infer Name}, ${string}`
  ? Name extends `${string} ${string}`
    ? never
    : [Name, number]
  : Hole extends '' | `${string} ${string}`
    ? never
    : [Hole, string]
type Arguments<K extends Key> = { [Hole in Holes<English[K]> as Hole[0]]: Hole[1] }
type Said<K extends Key> = [Holes<English[K]>] extends [never] ? [] : [values: Arguments<K>]

/** A key that can be said without arguments. */
export type PlainKey = { [K in Key]: [Holes<English[K]>] extends [never] ? K : never }[Key]

export interface Tongue extends Formats {
  language: Language
  dir: 'ltr' | 'rtl'
  say<K extends Key>(key: K, ...values: Said<K>): string
  /** @returns undefined where there is no such text: codes come from TikTok and from newer replicas too */
  sayIfKnown(key: string): string | undefined
}

/** The compiler would not see a path that is put together, and every language is a file of its own. */
const catalogues: Record<Language, () => Promise<Catalogue>> = {
  en: async () => (await import('./languages/en.ts')).en,
  de: async () => (await import('./languages/de.ts')).de,
  es: async () => (await import('./languages/es.ts')).es,
  fr: async () => (await import('./languages/fr.ts')).fr,
  'pt-BR': async () => (await import('./languages/pt-br.ts')).ptBR,
  ja: async () => (await import('./languages/ja.ts')).ja,
  ar: async () => (await import('./languages/ar.ts')).ar,
}

/** Values that are in the language of the message. Set apart like a name, one in quotes would run the wrong way: signs tell no direction. */
const written = new Set(['permissions', 'what', 'time', 'day', 'when', 'ago'])

const loaded = new Map<Language, Promise<Tongue>>()

export function tongueOf(language: Language): Promise<Tongue> {
  const present = loaded.get(language)
  if (present) return present
  const coming = load(language)
  loaded.set(language, coming)
  // A disk that fails once must not leave the language without a tongue.
  coming.catch(() => loaded.delete(language))
  return coming
}

async function load(language: Language): Promise<Tongue> {
  const [{ IntlMessageFormat }, catalogue] = await Promise.all([import('intl-messageformat'), catalogues[language]()])
  const compiled = new Map<Key, IntlMessageFormat>()
  const dir = language === 'ar' ? 'rtl' : 'ltr'
  const messageOf = (key: Key) => {
    const present = compiled.get(key)
    if (present) return present
    const message = new IntlMessageFormat(catalogue[key], language, undefined, { ignoreTag: true })
    compiled.set(key, message)
    return message
  }
  const say = (key: Key, values: Record<string, string | number> = {}) => {
    const set = Object.entries(values).map(([name, value]) => {
      const isForeign = typeof value === 'string' && !written.has(name)
      return [name, isForeign ? inSentence(value, dir) : value]
    })
    return String(messageOf(key).format(Object.fromEntries(set)))
  }
  return {
    language,
    dir,
    ...formatsOf(language),
    say: (key, ...[values]) => say(key, values),
    sayIfKnown: (key) => (key in catalogue ? say(key as Key) : undefined),
  }
}
