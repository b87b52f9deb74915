// What each failure means for whoever meets it: the page that a problem's `type` points at, and the same as a document.
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { type FailureCode, failureCodes, failures, type MendedBy } from '../errors.ts'
import { answerAs } from '../http/openapi.ts'
import type { Parts } from '../parts.ts'
import { html, page, sendPage } from './page.ts'

const whoMends: Record<MendedBy, string> = {
  caller: 'you, by changing the request',
  user: 'the person, with a walk through TikTok or another choice',
  time: 'waiting; `Retry-After` says how long',
  operator: 'an operator',
}

/** The next step, for the program or person that got the code. */
export const remedies: Record<FailureCode, string> = {
  validation_failed: 'Read `detail`: it names the place and what is wanted there. Fields that are not in the schema are refused.',
  invalid_json: 'Send one JSON object in UTF-8, without duplicate keys.',
  return_url_not_allowed: 'Have origin and path, exactly as you send them, put into `ALLOWED_RETURN_URLS`; a query may be added.',
  idempotency_key_required:
    'Send an `Idempotency-Key` header, one per intended upload, and the same one when you repeat the call.',
  state_missing: 'Start again with a new connect session; TikTok sent the browser back without the `state` it was given.',
  state_invalid: 'Start again with a new connect session; a reload of the callback meets this.',
  state_expired: 'Start again with a new connect session and decide at TikTok within ten minutes.',
  browser_mismatch: 'Finish in the browser that started, with cookies allowed for this service.',
  session_invalid: 'Open a new connect session; each link is for one connect.',
  unauthenticated:
    'Send `Authorization: Bearer KEY` with a live key. `cli keys list` shows which live, `cli keys create` makes one.',
  invalid_signature: 'Sign the raw body with the client secret of this app; only TikTok has a reason to call this.',
  insufficient_scope: 'Use the key that is meant for this, or have one made with the scope that `detail` names.',
  owner_mismatch: 'Act for the owner who opened the session; a link that was sent to somebody else connects nothing.',
  confirm_invalid: 'Send the `confirm` value that came to the return URL of this very session.',
  route_not_found: 'Look the route up at `/docs`.',
  account_not_found:
    'Check the id: this service never made such an account. For a picture the account may be here and have none; `detail` says which.',
  connect_session_not_found: 'Open a new connect session; old ones are purged.',
  upload_not_found: 'Check the id and that it belongs to this account; old reservations are purged.',
  owner_not_found: 'Check the id: no account was ever connected and no tier ever set for this owner.',
  reauthorization_required:
    'Open a connect session with `reconnect_account_id` and send the person there. `status_reason` says why.',
  account_limit_reached: 'The person disconnects an account or moves to a larger plan; `GET /owners/:owner_id` shows the places.',
  account_already_connected: 'The other owner disconnects the TikTok account first; it belongs to one owner at a time.',
  account_mismatch: 'The person chooses the account to be reconnected at TikTok, or connects the other one as a new account.',
  session_not_ready: 'Wait for the browser to come back to the return URL; only then there is something to complete.',
  upload_released: 'Reserve a new slot; this one was given back.',
  upload_committed:
    'Nothing, if you meant to release it: the upload counts already. Another `publish_id` is another upload: reserve a slot for it.',
  account_disconnected: 'Forget the account, or have the person connect it again; it comes back under a new id.',
  session_expired: 'Open a new connect session; one lasts ten minutes.',
  payload_too_large: 'Send less: 16 KiB are taken, 64 KiB from TikTok.',
  unsupported_media_type: 'Send `Content-Type: application/json`.',
  account_type_not_supported: 'The person switches to a Creator or Business account in TikTok and states so.',
  age_not_confirmed: 'The person confirms being 18 or older; without that nothing can be connected.',
  scope_not_granted: 'The person tries again and leaves the permissions ticked that are marked as needed.',
  idempotency_key_reused: 'Use a new `Idempotency-Key` for another request; the old one belongs to the first body.',
  rate_limited: 'Wait as long as `Retry-After` says; the limit is per key and minute (`RATE_LIMIT_PER_MINUTE`).',
  upload_quota_exhausted: 'Wait until `next_slot_at`; slots come back 24 hours after they were used.',
  internal_error: 'Report `request_id`; the log has the rest. Repeating the call is safe.',
  credential_unreadable:
    'Put the vault key back that sealed it (`VAULT_KEYS`); if it is lost, the account has to be connected again.',
  tiktok_rejected: 'The person starts again; if it stays, the TikTok app and its credentials have to be checked.',
  tiktok_unavailable: 'Repeat later; nothing is lost and refreshes go on by themselves.',
  refresh_in_progress: 'Repeat after `Retry-After`; the fresh token is on its way.',
  storage_unavailable: 'Repeat after `Retry-After`; if it stays, look at PostgreSQL.',
  overloaded: 'Repeat after `Retry-After`, and less at once.',
  keyring_mismatch:
    'Start this replica with the vault keys of the others (`VAULT_KEYS`). Nothing is written until then, and nothing is lost.',
}

export const problemRoutes: FastifyPluginAsyncZod<{ parts: Parts }> = async (app, { parts }) => {
  app.get(
    '/docs/problems',
    {
      config: { public: true, page: true },
      schema: {
        tags: ['operations'],
        operationId: 'listProblems',
        summary: 'What each failure code means, and what to do',
        response: { 200: answerAs('A page', 'text/html') },
      },
    },
    async (_request, reply) => sendPage(parts, reply, problemsPage),
  )
}

/** @returns the text of `docs/problems.md` */
export function problemsFile(): string {
  const rows = failureCodes.map((code) => {
    const { status, mendedBy, title } = failures[code]
    return `| <a id="${code}"></a>\`${code}\` | ${status} | ${mendedBy} | ${title}. ${remedies[code]} |`
  })
  return `# Problems

Every failure is \`application/problem+json\` (RFC 9457): \`{type, title, status, detail, code, mended_by, request_id}\`. Branch on \`code\`, show
\`detail\` to people, quote \`request_id\` when you ask for help; \`type\` points at \`/docs/problems#CODE\`, which is this page on a running service.
429 and 503 carry \`Retry-After\`. \`mended_by\`: ${Object.entries(whoMends)
    .map(([who, sentence]) => `**${who}** ${sentence}`)
    .join('; ')}.

Generated from \`src/errors.ts\` and \`src/pages/problems.ts\` by \`npm run docs\`.

| code | status | mended by | meaning and next step |
|---|---|---|---|
${rows.join('\n')}
`
}

const problemsPage = page('Problems', {
  wide: true,
  header: html`<h1>Problems</h1><p class="quiet">Every failure code of this service, and what to do next.</p>`,
  content: html`${failureCodes.map((code) => {
    const { status, mendedBy, title } = failures[code]
    return html`<section class="panel" id="${code}"><h2><code>${code}</code></h2>
<p>${title}. ${remedies[code]}</p><p class="quiet small">Status ${status}; mended by ${mendedBy}: ${whoMends[mendedBy]}.</p></section>`
  })}`,
})
