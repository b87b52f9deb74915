// Templates whose holes are escaped. Names and labels come from people, and people write `<b>`.

/** Text that is HTML already. Only `html` makes it. */
export interface Html {
  readonly markup: string
}

type Value = string | number | Html | readonly Html[]

export function html(pieces: TemplateStringsArray, ...values: readonly Value[]): Html {
  return { markup: String.raw({ raw: pieces }, ...values.map(render)) }
}

export const nothing: Html = { markup: '' }

function render(value: Value): string {
  if (typeof value !== 'object') {
    return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
  }
  return 'markup' in value ? value.markup : value.map(({ markup }) => markup).join('')
}
