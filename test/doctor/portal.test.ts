// `cli portal`: every field of TikTok's portal from the configuration, and what is missing, without a database or a secret.
import t from 'tap'
import { readPatient } from '../../src/doctor/examine.ts'
import { type Field, portalFields } from '../../src/doctor/portal.ts'
import { command } from '../rig/command.ts'

const whole = {
  PUBLIC_URL: 'https://oauth.example.com',
  TIKTOK_CLIENT_KEY: 'aw1234567890abcd',
  TIKTOK_CLIENT_SECRET: 'PortalSecretThatNobodySees1',
  TIKTOK_SCOPES: 'user.info.basic,video.upload',
  APP_NAME: 'Fake Uploads',
  PRIVACY_URL: 'https://example.com/privacy',
  TERMS_URL: 'https://example.com/terms',
  TIKTOK_VERIFICATION: 'O7CetRa9odzht3niNrsvitejVAuvQwcW',
}
const fieldsOf = (env: Record<string, string>) => portalFields(readPatient(env, []).patient)
const field = (fields: Field[], name: string) => fields.find((each) => each.field === name)
const missingOf = (env: Record<string, string>) => fieldsOf(env).flatMap((each) => (each.missing ? [each.field] : []))

t.test('a whole configuration fills every field, with what is served and registered byte for byte', (t) => {
  const fields = fieldsOf(whole)
  const entered = Object.fromEntries(fields.flatMap(({ field, enter }) => (enter.length > 0 ? [[field, enter]] : [])))
  t.strictSame(entered, {
    'App name': ['Fake Uploads'],
    'Terms of Service URL': ['https://example.com/terms'],
    'Privacy Policy URL': ['https://example.com/privacy'],
    Platforms: ['Web'],
    'Web/Desktop URL': ['https://oauth.example.com'],
    Verify: ['URL prefix https://oauth.example.com/'],
    'Add products': ['Login Kit', 'Content Posting API', 'Webhooks'],
    'Redirect URI (Web)': ['https://oauth.example.com/callback'],
    'Callback URL': ['https://oauth.example.com/webhooks/tiktok'],
    'Add scopes': ['user.info.basic', 'video.upload'],
  })
  t.match(field(fields, 'Verify')?.note, 'https://oauth.example.com/tiktokO7CetRa9odzht3niNrsvitejVAuvQwcW.txt')
  t.match(field(fields, 'Client key')?.note, 'aw1234567890abcd')
  t.strictSame(missingOf(whole), [])
  t.end()
})

t.test('what is missing stands in its place, with the variable to set', (t) => {
  const { APP_NAME: _, PRIVACY_URL: __, TIKTOK_VERIFICATION: ___, ...less } = whole
  t.strictSame(missingOf(less), ['App name', 'Privacy Policy URL', 'Verify'])
  for (const url of ['http://oauth.example.com', 'http://127.0.0.1:3000', 'https://10.0.0.1', 'https://localhost'])
    t.strictSame(missingOf({ ...whole, PUBLIC_URL: url }), ['Web/Desktop URL', 'Redirect URI (Web)', 'Callback URL'], url)
  t.strictSame(missingOf({ ...whole, TIKTOK_SCOPES: '?' }), ['Add scopes'])
  t.strictSame(missingOf({ ...whole, TIKTOK_API_BASE_URL: 'http://127.0.0.1:4500' }), ['Hosts'], 'a simulator is no TikTok')
  const more = fieldsOf({ ...whole, TIKTOK_SCOPES: 'user.info.basic,user.info.stats,video.upload' })
  t.match(
    field(more, 'Add scopes')?.note,
    /approval: user\.info\.stats\. Until then set TIKTOK_SCOPES=user\.info\.basic,video\.upload,/,
  )
  t.match(field(fieldsOf({ ...whole, TIKTOK_CLIENT_KEY: 'sbaw1234567890ab' }), 'Client key')?.note, /sandbox/)
  t.end()
})

t.test('as a command: text or JSON, exit code 1 while something is missing, and no database', async (t) => {
  const [shown, json, empty] = await Promise.all([
    command(['portal'], whole),
    command(['portal', '--json'], whole),
    command(['portal'], {}),
  ])
  t.match(shown, { code: 0, stderr: '', stdout: /Redirect URI \(Web\)\n {4}→ https:\/\/oauth\.example\.com\/callback\n/ })
  t.match(JSON.parse(json.stdout), { complete: true })
  t.notMatch(shown.stdout + json.stdout, whole.TIKTOK_CLIENT_SECRET)
  t.match(empty, { code: 1, stderr: /Not complete \(✗\): App name, .*[\s\S]*`doctor` names them/ })
})
