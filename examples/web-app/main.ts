// An example of a caller: a web app whose people connect TikTok accounts. It imports nothing from this service but its client; what it
// knows besides is two API keys. `npm run demo` starts it with everything around it.
import { startWebApp } from './server.ts'

function setting(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is missing: \`npm run demo\` sets everything`)
  return value
}

const app = await startWebApp({
  port: Number(process.env.PORT ?? '5000'),
  serviceUrl: setting('SERVICE_URL'),
  // A real app writes https://www.tiktok.com here: browsers hold redirects after a form to the form's allowed targets.
  tiktokUrl: process.env.TIKTOK_URL ?? 'https://www.tiktok.com',
  webAppKey: setting('WEB_APP_KEY'),
  uploadKey: setting('UPLOAD_KEY'),
  cookieSecret: setting('COOKIE_SECRET'),
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => app.close())
