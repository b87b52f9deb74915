// One connected account as its owner sees it, and the page that asks before it is disconnected.
import type { Account } from '../account/account.ts'
import { uploadScope } from '../account/readiness.ts'
import { initialOf, shown } from '../display/names.ts'
import { type Back, type Html, html, nothing, type Page, page, type Setting } from './page.ts'
import type { Tongue } from './tongue.ts'
import { scopeInWords } from './words.ts'

/** The owner's label, or else the name at TikTok. */
export const nameOf = ({ label, profile }: Account, tongue: Tongue): string => shown(label) ?? nameAtTikTok(profile, tongue)

const nameAtTikTok = ({ display_name: displayName, username }: Account['profile'], { say }: Tongue): string =>
  shown(displayName) ?? (username === null ? say('account.nameless') : `@${username}`)

/**
 * @param options.formToken what its forms carry
 * @param options.visit which page it is on
 * @param options.mayReconnect false where the session is for another account
 * @param options.mayChange false where the key that made the link may not: there is nothing to rename or disconnect with
 * @param options.nextSlotAt when there will be one slot more than now; null: none is taken, or it is unknown
 */
export function accountCard(
  account: Account,
  tongue: Tongue,
  options: { formToken: string; visit: string; mayReconnect: boolean; mayChange: boolean; nextSlotAt: string | null },
): Html {
  const { health } = account
  const now = new Date(health.checked_at)
  const name = nameOf(account, tongue)
  const heading = `name-${account.id}`
  return html`<li><article class="panel account" id="${account.id}" aria-labelledby="${heading}">
${picture(account, tongue, options.visit)}
<div>
<div class="head"><h3 id="${heading}"><bdi>${name}</bdi></h3><span class="state ${toneOf(account)}">${tongue.say(`account.verdict.${health.verdict}`)}</span></div>
${facts(account, name, tongue, now)}
</div>
<div class="wide">
${reasonsOf(account, tongue).map((reason) => html`<div class="note ${toneOf(account) === 'bad' ? 'bad' : ''}"><p>${reason}</p>${options.mayReconnect ? reconnectForm(account, name, tongue, options.formToken) : nothing}</div>`)}
${account.status === 'active' && mayUpload(account) ? quota(account, tongue, options.nextSlotAt, now) : nothing}
${options.mayChange ? changes(account, name, tongue, options) : nothing}
</div>
</article></li>`
}

function changes(
  account: Account,
  name: string,
  tongue: Tongue,
  { formToken, visit }: { formToken: string; visit: string },
): Html {
  const { say } = tongue
  return html`<div class="actions">
${renameForm(account, name, tongue, formToken)}
<a class="button minor" href="/connect/accounts/${account.id}/disconnect?visit=${visit}" aria-label="${say('account.disconnect_which', { name })}">${say('account.disconnect')}</a>
</div>`
}

/** A page of its own asks first: it needs no script, and nobody disconnects by accident. */
export function disconnectPage(
  account: Account,
  setting: Setting,
  options: { formToken: string; visit: string; back: Back },
): Page {
  const { tongue } = setting
  const { say } = tongue
  const name = nameOf(account, tongue)
  const points = [say('disconnect.uploads', { host: options.back.host }), say('disconnect.permission'), say('disconnect.erasure')]
  return page(say('disconnect.title', { name }), setting, {
    content: html`<section class="panel">
<div class="facing">${picture(account, tongue, options.visit)}<div><h1>${say('disconnect.heading', { name })}</h1>${handle(account)}</div></div>
<p>${say('disconnect.lead')}</p>
<ul class="steps">${points.map((point) => html`<li>${point}</li>`)}</ul>
<p class="quiet">${say('disconnect.after')}</p>
<div class="actions">
<form method="post" action="/connect/accounts/${account.id}/disconnect"><input type="hidden" name="form_token" value="${options.formToken}"><button class="danger">${say('disconnect.yes')}</button></form>
<a class="button" href="/connect?visit=${options.visit}">${say('disconnect.no')}</a>
</div>
</section>`,
  })
}

function picture({ id, profile }: Account, tongue: Tongue, visit: string): Html {
  const name = nameAtTikTok(profile, tongue)
  if (profile.avatar_url === null)
    return html`<span class="picture" aria-hidden="true">${initialOf(name.replace(/^@/, ''))}</span>`
  return html`<img class="picture" src="/connect/accounts/${id}/avatar?visit=${visit}" alt="${tongue.say('account.picture', { name })}" width="64" height="64">`
}

function facts(account: Account, name: string, { say, distance }: Tongue, now: Date): Html {
  const { profile, account_type: type } = account
  const { username, display_name: displayName, follower_count: followers, fetched_at: fetchedAt } = profile
  const named = shown(displayName)
  // The age of badge and followers, which came in one answer.
  const seen =
    fetchedAt === null
      ? nothing
      : html` <span class="small">(${say('account.seen', { ago: distance(new Date(fetchedAt), now) })})</span>`
  return html`<ul class="facts quiet">
${named === null || named === name ? nothing : html`<li><bdi>${named}</bdi></li>`}
${username === null || name === `@${username}` ? nothing : html`<li><bdi>@${username}</bdi></li>`}
${profile.is_verified ? html`<li><span class="tag">${say('account.badge')}</span>${followers === null ? seen : nothing}</li>` : nothing}
${followers === null ? (account.missing_scopes.includes('user.info.stats') ? html`<li>${say('account.followers_unknown')}</li>` : nothing) : html`<li>${say('account.followers', { count: followers })}${seen}</li>`}
<li>${say(`connect.type.${type.value}`)} <span class="small">(${say('account.self_attested')})</span></li>
</ul>`
}

const handle = ({ profile: { username } }: Account): Html =>
  username === null ? nothing : html`<p class="quiet"><bdi>@${username}</bdi></p>`

function quota({ upload_quota: quota }: Account, { say, upcoming }: Tongue, nextSlotAt: string | null, now: Date): Html {
  const { limit, remaining, closed_by: closedBy } = quota
  const next =
    nextSlotAt === null
      ? nothing
      : html`<time datetime="${nextSlotAt}">${say('account.next_slot', { when: upcoming(new Date(nextSlotAt), now) })}</time>`
  return html`<div class="quota">
<svg viewBox="0 0 ${limit} 1" preserveAspectRatio="none" aria-hidden="true" focusable="false"><rect width="${remaining}" height="1"/></svg>
<p>${closedBy === undefined ? html`<span>${say('account.left', { remaining, limit })}</span>` : html`<span>${say('account.closed')}</span>`}${nextSlotAt === null ? html`<span class="quiet">${say('account.rolling')}</span>` : next}</p>
</div>`
}

/** The reasons in words, the worst first; two are enough for one card. */
function reasonsOf(account: Account, tongue: Tongue): string[] {
  const { status, health } = account
  const codes = health.reasons.map(({ code, mended_by: mendedBy }) =>
    // One code for both a believed and a suspected rejection; `mended_by` tells which.
    code === 'refresh_token_rejected' && status === 'active' && mendedBy === 'time' ? 'being_checked' : code,
  )
  const sentences = codes.map((code) => {
    if (code === 'scope_not_granted') return notGranted(account, tongue)
    return (
      tongue.sayIfKnown(`health.${code}`) ?? (status === 'active' ? undefined : tongue.say('health.reauthorization_required'))
    )
  })
  return [...new Set(sentences)].filter((sentence) => sentence !== undefined).slice(0, 2)
}

/** Names the missing permissions in the words used when asking for them, and says when uploads do not work. */
function notGranted(account: Account, tongue: Tongue): string {
  const permissions = permissionList(account.missing_scopes, tongue)
  return tongue.say(mayUpload(account) ? 'not_granted.some' : 'not_granted.uploads', { permissions })
}

/** In the words used when asking for them, each in quotes. */
export const permissionList = (scopes: readonly string[], tongue: Tongue): string =>
  tongue.list(scopes.map((scope) => tongue.say('not_granted.one', { what: scopeInWords(tongue, scope).what })))

const mayUpload = ({ missing_scopes: missing }: Account): boolean => !missing.includes(uploadScope)

/** Whether connecting again helps: the account is down, its grant ends soon, or a permission is missing. */
function reconnectForm(
  { id, status, health, missing_scopes: missing }: Account,
  name: string,
  { say }: Tongue,
  formToken: string,
): Html {
  const down = status !== 'active' || health.verdict === 'expiring'
  if (!down && missing.length === 0) return nothing
  const [short, full] = down
    ? [say('account.reconnect'), say('account.reconnect_which', { name })]
    : [say('account.ask_again'), say('account.ask_again_which', { name })]
  return html`<form method="post" action="/connect/accounts/${id}/reconnect"><input type="hidden" name="form_token" value="${formToken}"><button class="${down ? 'primary' : 'minor'}" aria-label="${full}">${short}</button></form>`
}

function renameForm({ id, label }: Account, name: string, { say }: Tongue, formToken: string): Html {
  return html`<details><summary class="button minor" aria-label="${say('account.rename_which', { name })}">${say('account.rename')}</summary>
<form method="post" action="/connect/accounts/${id}/label"><input type="hidden" name="form_token" value="${formToken}">
<label for="label-${id}">${say('account.label')}</label>
<div class="rename"><input type="text" id="label-${id}" name="label" value="${label ?? ''}" maxlength="100" autocomplete="off" aria-describedby="hint-${id}"><button class="minor">${say('account.save')}</button></div>
<p class="quiet small" id="hint-${id}">${say('account.label_hint')}</p>
</form></details>`
}

function toneOf({ status, health }: Account): '' | 'care' | 'bad' {
  if (status !== 'active') return 'bad'
  return health.verdict === 'healthy' ? '' : 'care'
}
