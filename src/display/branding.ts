// Whose page it is, as a connect session may say it for itself: for a service that several products share.
import { isLoopback } from '../outbound/public-address.ts'

/** What is absent is as the environment says. */
export interface Branding {
  name?: string | undefined
  /** one of APP_LOGO, by the name of its file without the ending */
  logo?: string | undefined
  /** `#rrggbb` */
  color?: string | undefined
  privacyUrl?: string | undefined
  termsUrl?: string | undefined
  supportUrl?: string | undefined
}

export const isColor = (text: string): boolean => /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.test(text)

/** A link that people may follow from a page of ours. */
export function isPageUrl(text: string): boolean {
  if (text.length > 2048 || !URL.canParse(text)) return false
  const { protocol, hostname, username, password } = new URL(text)
  return (protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))) && username === '' && password === ''
}

/** Where to ask for help: a page or a mailbox. */
export const isSupportUrl = (text: string): boolean => isPageUrl(text) || /^mailto:[^\s@?]+@[^\s@?]+$/.test(text)
