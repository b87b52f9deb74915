// `portal`: what belongs into each field of the app's page in TikTok's developer portal, from the configuration alone.
import { isLoopback } from '../outbound/public-address.ts'
import type { Patient } from './finding.ts'
import { ofRedirectUri } from './tiktok-app.ts'

/** One field, in TikTok's words and order. */
export interface Field {
  section: string
  field: string
  /** to be entered as they are; none: it is missing, or yours to write */
  enter: string[]
  /** what keeps it from being entered, with the variable to set */
  missing?: string
  note?: string
}

/** What each scope comes with. */
const products: Record<string, string> = {
  'user.info.basic': 'Login Kit',
  'user.info.profile': 'Login Kit',
  'user.info.stats': 'Login Kit',
  'video.list': 'Display API',
  'video.upload': 'Content Posting API',
  'video.publish': 'Content Posting API',
}
const withApproval = new Set(['user.info.profile', 'user.info.stats', 'video.list', 'video.publish'])

export function portalFields(patient: Patient): Field[] {
  const { config, isBad } = patient
  const { brand, publicUrl, redirectUri, tiktok, tiktokVerifications } = config
  const [refused] = ofRedirectUri(config)
  const noAddress = isBad('PUBLIC_URL')
    ? 'PUBLIC_URL is not usable: set it to https://YOUR-HOST.'
    : refused && `${refused.what} ${refused.remedy}`
  const scopes = isBad('TIKTOK_SCOPES') ? [] : tiktok.scopes
  const address = (section: string, field: string, url: string, note: string): Field =>
    noAddress ? { section, field, enter: [], missing: noAddress, note } : { section, field, enter: [url], note }
  const page = (field: string, url: string | undefined, variable: string, note: string): Field =>
    url === undefined || isBad(variable)
      ? {
          section: 'App details',
          field,
          enter: [],
          missing: `Set ${variable} to its address: every page links to it, and TikTok's review asks for it.`,
          note,
        }
      : { section: 'App details', field, enter: [url], note }

  return [
    brand.name === undefined
      ? {
          section: 'App details',
          field: 'App name',
          enter: [],
          missing: 'Set APP_NAME: the pages and the portal have to say the same.',
          note: noSocialMedia,
        }
      : { section: 'App details', field: 'App name', enter: [brand.name], note: noSocialMedia },
    page('Terms of Service URL', brand.termsUrl, 'TERMS_URL', 'Live, and of a verified domain.'),
    page('Privacy Policy URL', brand.privacyUrl, 'PRIVACY_URL', 'Live, and of a verified domain.'),
    {
      section: 'App details',
      field: 'Platforms',
      enter: ['Web'],
      note: 'Not Desktop: this service keeps the secret, and its redirect URI is https.',
    },
    address('App details', 'Web/Desktop URL', publicUrl, 'Or the address of your own site, if people begin there.'),
    {
      section: 'URL properties',
      field: 'Verify',
      enter: noAddress ? [] : [`URL prefix ${publicUrl}/`],
      ...(tiktokVerifications.length > 0
        ? { note: `Served already: ${tiktokVerifications.map(({ name }) => `${publicUrl}/${name}`).join(', ')}` }
        : {
            missing:
              'Download the file that TikTok offers there, set TIKTOK_VERIFICATION to its path, restart, and press Verify. A DNS record does as well.',
          }),
    },
    {
      section: 'Products',
      field: 'Add products',
      enter: [...new Set(['Login Kit', ...scopes.flatMap((scope) => products[scope] ?? []), 'Webhooks'])],
      note: 'In the Content Posting API leave Direct Post off, unless video.publish is asked for.',
    },
    address(
      'Login Kit',
      'Redirect URI (Web)',
      redirectUri,
      'Byte for byte. A sandbox has a list of its own: enter it there, too.',
    ),
    address('Webhooks', 'Callback URL', `${publicUrl}/webhooks/tiktok`, 'One for the app, subscribed to all events.'),
    {
      section: 'Scopes',
      field: 'Add scopes',
      enter: [...scopes],
      ...(scopes.length === 0 && { missing: 'TIKTOK_SCOPES is not usable: correct it.' }),
      note: scopes.some((scope) => withApproval.has(scope))
        ? `Need TikTok's approval: ${scopes.filter((scope) => withApproval.has(scope)).join(', ')}. Until then set TIKTOK_SCOPES=${scopes.filter((scope) => !withApproval.has(scope)).join(',')}, because one that is missing makes TikTok refuse all.`
        : 'All of them, letter for letter.',
    },
    {
      section: 'Sandbox',
      field: 'Target users',
      enter: [],
      note: 'Before approval only they can connect: up to ten, and TikTok takes up to an hour to know them.',
    },
    ...fromThere(patient),
  ]
}

const noSocialMedia = 'TikTok lets no name refer to a social media company.'

/** What goes the other way: from the portal into the configuration. Secrets are never shown. */
function fromThere({ config, isBad }: Patient): Field[] {
  const { apiBaseUrl, clientKey } = config.tiktok
  const key = isBad('TIKTOK_CLIENT_KEY')
    ? { missing: 'Copy it into TIKTOK_CLIENT_KEY.' }
    : { note: `Has to be ${clientKey}${/^sb/i.test(clientKey) ? ', which is that of a sandbox' : ''} (TIKTOK_CLIENT_KEY).` }
  const secret = isBad('TIKTOK_CLIENT_SECRET')
    ? { missing: 'Copy it into TIKTOK_CLIENT_SECRET.' }
    : { note: 'TIKTOK_CLIENT_SECRET is set; `doctor` tries whether TikTok takes it.' }
  const simulated = isLoopback(new URL(apiBaseUrl).hostname)
    ? [
        {
          section: 'Credentials',
          field: 'Hosts',
          enter: [],
          missing: 'TIKTOK_AUTH_BASE_URL and TIKTOK_API_BASE_URL lead to a simulator: take both away for TikTok itself.',
        },
      ]
    : []
  return [
    { section: 'Credentials', field: 'Client key', enter: [], ...key },
    { section: 'Credentials', field: 'Client secret', enter: [], ...secret },
    ...simulated,
  ]
}
