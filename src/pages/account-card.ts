// One connected account as its owner sees it, and the page that asks before it is disconnected.
import type { Account } from '../account/account.ts'
import { uploadScope } from '../account/readiness.ts'
import { initialOf, inSentence, shown } from '../names.ts'
import type { Brand } from './brand.ts'
import { count, distance, list, upcoming } from './formats.ts'
import { type Back, type Html, html, nothing, type Page, page } from './page.ts'
import { texts } from './words.ts'

const words = texts.account

/** The owner's label, or else the name at TikTok. */
export const nameOf = ({ label, profile }: Account): string => shown(label) ?? nameAtTikTok(profile)

const nameAtTikTok = ({ display_name: displayName, username }: Account['profile']): string =>
  shown(displayName) ?? (username === null ? words.nameless : `@${username}`)

/** The same inside of a sentence. */
export const nameInSentence = (account: Account): string => inSentence(nameOf(account), texts.dir)

/**
 * @param options.formToken what its forms carry
 * @param options.visit which page it is on
 * @param options.mayReconnect false where the session is for another account
 * @param options.mayChange false where the key that made the link may not: there is nothing to rename or disconnect with
 * @param options.nextSlotAt when there will be one slot more than now; null: none is taken, or it is unknown
 */
export function accountCard(
  account: Account,
  options: { formToken: string; visit: string; mayReconnect: boolean; mayChange: boolean; nextSlotAt: string | null },
): Html {
  const { health } = account
  const now = new Date(health.checked_at)
  const name = nameInSentence(account)
  const heading = `name-${account.id}`
  return html`<li><article class="panel account" id="${account.id}" aria-labelledby="${heading}">
${picture(account, options.visit)}
<div>
<div class="head"><h3 id="${heading}"><bdi>${nameOf(account)}</bdi></h3><span class="state ${toneOf(account)}">${words.verdicts[health.verdict]}</span></div>
${facts(account, now)}
</div>
<div class="wide">
${reasonsOf(account).map((reason) => html`<div class="note ${toneOf(account) === 'bad' ? 'bad' : ''}"><p>${reason}</p>${options.mayReconnect ? reconnectForm(account, name, options.formToken) : nothing}</div>`)}
${account.status === 'active' && mayUpload(account) ? quota(account, options.nextSlotAt, now) : nothing}
${options.mayChange ? changes(account, name, options) : nothing}
</div>
</article></li>`
}

function changes(account: Account, name: string, { formToken, visit }: { formToken: string; visit: string }): Html {
  return html`<div class="actions">
${renameForm(account, name, formToken)}
<a class="button minor" href="/connect/accounts/${account.id}/disconnect?visit=${visit}">${words.disconnect}<span class="unseen"> ${name}</span></a>
</div>`
}

/** A page of its own asks first: it needs no script, and nobody disconnects by accident. */
export function disconnectPage(account: Account, options: { brand: Brand; formToken: string; visit: string; back: Back }): Page {
  const name = nameInSentence(account)
  const { title, heading, lead, points, after, yes, no } = texts.disconnect
  return page(title(name), {
    brand: options.brand,
    content: html`<section class="panel">
<div class="facing">${picture(account, options.visit)}<div><h1>${heading(name)}</h1>${handle(account)}</div></div>
<p>${lead}</p>
<ul class="steps">${points(options.back.host).map((point) => html`<li>${point}</li>`)}</ul>
<p class="quiet">${after}</p>
<div class="actions">
<form method="post" action="/connect/accounts/${account.id}/disconnect"><input type="hidden" name="form_token" value="${options.formToken}"><button class="danger">${yes}</button></form>
<a class="button" href="/connect?visit=${options.visit}">${no}</a>
</div>
</section>`,
  })
}

function picture({ id, profile }: Account, visit: string): Html {
  const name = nameAtTikTok(profile)
  if (profile.avatar_url === null)
    return html`<span class="picture" aria-hidden="true">${initialOf(name.replace(/^@/, ''))}</span>`
  return html`<img class="picture" src="/connect/accounts/${id}/avatar?visit=${visit}" alt="${words.picture(inSentence(name, texts.dir))}" width="64" height="64">`
}

function facts(account: Account, now: Date): Html {
  const { label, profile, account_type: type } = account
  const { username, display_name: displayName, follower_count: followers, fetched_at: fetchedAt } = profile
  // The age of badge and followers, which came in one answer.
  const seen =
    fetchedAt === null ? nothing : html` <span class="small">(${words.seen(distance(new Date(fetchedAt), now))})</span>`
  return html`<ul class="facts quiet">
${shown(label) !== null && shown(displayName) !== null ? html`<li><bdi>${shown(displayName) ?? ''}</bdi></li>` : nothing}
${username === null ? nothing : html`<li><bdi>@${username}</bdi></li>`}
${profile.is_verified ? html`<li><span class="tag">${words.badge}</span>${followers === null ? seen : nothing}</li>` : nothing}
${followers === null ? (account.missing_scopes.includes('user.info.stats') ? html`<li>${words.followersUnknown}</li>` : nothing) : html`<li>${words.followers(count(followers), followers === 1)}${seen}</li>`}
<li>${words.types[type.value]} <span class="small">(${words.selfAttested})</span></li>
</ul>`
}

const handle = ({ profile: { username } }: Account): Html =>
  username === null ? nothing : html`<p class="quiet"><bdi>@${username}</bdi></p>`

function quota({ upload_quota: quota }: Account, nextSlotAt: string | null, now: Date): Html {
  const { limit, remaining, closed_by: closedBy } = quota
  const next =
    nextSlotAt === null
      ? nothing
      : html`<time datetime="${nextSlotAt}">${words.nextSlot(upcoming(new Date(nextSlotAt), now))}</time>`
  return html`<div class="quota">
<svg viewBox="0 0 ${limit} 1" preserveAspectRatio="none" aria-hidden="true" focusable="false"><rect width="${remaining}" height="1"/></svg>
<p>${closedBy === undefined ? html`<span>${words.left(count(remaining), count(limit))}</span>` : html`<span>${words.closed}</span>`}${nextSlotAt === null ? html`<span class="quiet">${words.rolling}</span>` : next}</p>
</div>`
}

/** The reasons in words, the worst first; two are enough for one card. */
function reasonsOf(account: Account): string[] {
  const { status, health } = account
  const codes = health.reasons.map(({ code, mended_by: mendedBy }) =>
    // One code for both a believed and a suspected rejection; `mended_by` tells which.
    code === 'refresh_token_rejected' && status === 'active' && mendedBy === 'time' ? 'being_checked' : code,
  )
  const sentences = codes.map((code) => {
    if (code === 'scope_not_granted') return notGranted(account)
    return texts.health[code] ?? (status === 'active' ? undefined : texts.health.reauthorization_required)
  })
  return [...new Set(sentences)].filter((sentence) => sentence !== undefined).slice(0, 2)
}

/** Names the missing permissions in the words used when asking for them, and says when uploads do not work. */
function notGranted(account: Account): string {
  const { some, uploads, one } = texts.notGranted
  const permissions = list(account.missing_scopes.map((scope) => one((texts.scopes[scope] ?? texts.unknownScope(scope)).what)))
  return mayUpload(account) ? some(permissions) : uploads(permissions)
}

const mayUpload = ({ missing_scopes: missing }: Account): boolean => !missing.includes(uploadScope)

/** Whether connecting again helps: the account is down, its grant ends soon, or a permission is missing. */
function reconnectForm({ id, status, health, missing_scopes: missing }: Account, name: string, formToken: string): Html {
  const down = status !== 'active' || health.verdict === 'expiring'
  if (!down && missing.length === 0) return nothing
  const [short, full] = down ? [words.reconnect, words.reconnectWhich(name)] : [words.allowMore, words.allowMoreWhich(name)]
  return html`<form method="post" action="/connect/accounts/${id}/reconnect"><input type="hidden" name="form_token" value="${formToken}"><button class="${down ? 'primary' : 'minor'}" aria-label="${full}">${short}</button></form>`
}

function renameForm({ id, label }: Account, name: string, formToken: string): Html {
  return html`<details><summary class="button minor">${words.rename}<span class="unseen"> ${name}</span></summary>
<form method="post" action="/connect/accounts/${id}/label"><input type="hidden" name="form_token" value="${formToken}">
<label for="label-${id}">${words.labelField}</label>
<div class="rename"><input type="text" id="label-${id}" name="label" value="${label ?? ''}" maxlength="100" autocomplete="off" aria-describedby="hint-${id}"><button class="minor">${words.save}</button></div>
<p class="quiet small" id="hint-${id}">${words.labelHint}</p>
</form></details>`
}

function toneOf({ status, health }: Account): '' | 'care' | 'bad' {
  if (status !== 'active') return 'bad'
  return health.verdict === 'healthy' ? '' : 'care'
}
