// The markup of the hosted page: who it is for, the owner's accounts, and how to connect another. connect-page.ts decides.
import type { Account } from '../account/account.ts'
import type { Allowance } from '../connect/limits.ts'
import { asksFirst, mayOnPage } from '../connect/visit.ts'
import type { Ended } from '../db/accounts.ts'
import { accountTypes } from '../db/codes.ts'
import type { ConnectSession } from '../db/connect-sessions.ts'
import { shown } from '../display/names.ts'
import { accountCard, nameOf, permissionList } from './account-card.ts'
import { type Back, type Html, html, nothing, type Page, page, type Setting } from './page.ts'
import { type DoneCode, type NotDoneCode, scopeInWords } from './words.ts'

export interface ConnectView {
  session: ConnectSession
  accounts: Account[]
  /** there are more than these */
  more: boolean
  nextSlots: Map<string, Date>
  ended: Ended[]
  /** undefined while the owner's limit is unknown */
  allowance: Allowance | undefined
  scopes: readonly string[]
  requiredScopes: readonly string[]
  /** the optional scopes are left out this time */
  requiredOnly: boolean
  /** where the button leads, as people read it */
  tiktokHost: string
  setting: Setting
  formToken: string
  /** which of the visits of this browser it is */
  visit: string
  back: Back
  done?: DoneCode | undefined
  notDone?: NotDoneCode | undefined
}

/** Which message belongs to which question of the form. */
const questions: Partial<Record<NotDoneCode, 'type' | 'age'>> = {
  account_type_missing: 'type',
  account_type_not_supported: 'type',
  age_not_confirmed: 'age',
}

export function connectPage(view: ConnectView): Page {
  const { session, accounts, back, setting } = view
  const { say, duration } = setting.tongue
  const some = accounts.length > 0
  const whose = { host: back.host, owner: ownerOf(session) }
  const timeLeft = say('page.time_left', { time: duration(session.secondsLeft) })
  const header = html`<h1>${say(some ? 'page.heading' : 'page.heading_first')}</h1>
<p class="quiet">${say('page.for_whom', whose)}</p>
<p class="quiet">${some ? nothing : html`${places(view)} `}<span class="part">${timeLeft}</span></p>`
  const connect = html`<section class="panel" id="connect" aria-labelledby="connect-heading">${connectPanel(view)}</section>`
  const access = asksFirst(session)
    ? html`<div class="note top"><p><strong>${say('page.access', whose)}</strong></p></div>`
    : nothing
  const content = some
    ? html`<div class="columns"><div>${accountList(view)}${endedList(view)}</div>${connect}</div>`
    : html`${connect}${endedList(view)}`
  return page(say('page.title'), setting, { header, content: html`${messages(view)}${access}${content}`, wide: some, back })
}

/** As the web app calls them; an id is better than a name that nobody sees. */
const ownerOf = ({ ownerName, ownerId }: ConnectSession): string => shown(ownerName) ?? ownerId

/** First and focused, so that a screen reader starts here after the redirect: live regions are not read out on load. */
function messages({ done, notDone, setting }: ConnectView): Html {
  const { say } = setting.tongue
  if (notDone !== undefined) {
    const question = questions[notDone]
    const way = question ? html`<p><a href="#${question}">${say('not_done.to_question')}</a></p>` : nothing
    return html`<div class="note top bad" role="alert" tabindex="-1" autofocus><p><strong>${say('not_done.lead')}</strong> ${say(`not_done.${notDone}`)}</p>${way}</div>`
  }
  if (done !== undefined)
    return html`<div class="note top good" role="status" tabindex="-1" autofocus><p>${say(`done.${done}`)}</p></div>`
  return nothing
}

function accountList(view: ConnectView): Html {
  const { session, accounts, more, nextSlots, formToken, visit, back, setting } = view
  const { say } = setting.tongue
  const cards = accounts.map((account) =>
    accountCard(account, setting.tongue, {
      formToken,
      visit,
      mayReconnect: (session.reconnectAccountId ?? account.id) === account.id,
      mayChange: mayOnPage(session, 'accounts:write'),
      nextSlotAt: nextSlots.get(account.id)?.toISOString() ?? account.upload_quota.next_slot_at,
    }),
  )
  return html`<section aria-labelledby="accounts-heading">
<div class="bar"><h2 id="accounts-heading">${say('page.accounts')}</h2><p class="quiet">${places(view)}</p>${mayConnectAnother(view) ? html`<a class="jump" href="#connect">${say('page.connect_another')}</a>` : nothing}</div>
<ul class="accounts">${cards}</ul>
${more ? html`<p class="quiet">${say('page.more', { shown: accounts.length, host: back.host })}</p>` : nothing}
</section>`
}

/** Accounts that ended without the owner's doing. Their names are erased, so the day they were connected has to identify them. */
function endedList({ ended, setting }: ConnectView): Html {
  if (ended.length === 0) return nothing
  const { say, sayIfKnown, day } = setting.tongue
  const items = ended.map(({ reason, connectedAt, disconnectedAt }) => {
    const why = sayIfKnown(`health.${reason}`) ?? say('account.verdict.disconnected')
    return html`<li><b><time datetime="${disconnectedAt.toISOString()}">${day(disconnectedAt)}</time></b> ${why} <span class="quiet small">${say('page.ended_since', { day: day(connectedAt) })}</span></li>`
  })
  return html`<section class="ended" aria-labelledby="ended-heading">
<h2 id="ended-heading">${say('page.ended')}</h2><p class="quiet small">${say('page.ended_hint')}</p>
<ul class="scopes">${items}</ul>
</section>`
}

function places({ session, allowance, setting }: ConnectView): Html {
  if (!allowance || !mayOnPage(session, 'accounts:read')) return nothing
  const { say } = setting.tongue
  const { tier, accountLimit: limit, accountsConnected: used } = allowance
  const said = tier === null ? say('page.places', { used, limit }) : say('page.places_of_plan', { used, limit, tier })
  return html`<span class="part">${said}</span>`
}

/** Whether the panel asks its questions instead of saying why nothing can be connected. */
function mayConnectAnother({ session, allowance }: ConnectView): boolean {
  return session.reconnectAccountId === null && allowance !== undefined && allowance.accountsConnected < allowance.accountLimit
}

function connectPanel(view: ConnectView): Html {
  const { session, accounts, allowance, back, setting } = view
  const { say } = setting.tongue
  if (session.reconnectAccountId !== null) return reconnectPanel(view, session.reconnectAccountId)
  if (!allowance) return html`<h2 id="connect-heading">${say('connect.unknown')}</h2><p>${say('connect.unknown_text')}</p>`
  if (!mayConnectAnother(view)) {
    const { host } = back
    const { accountLimit: limit } = allowance
    const sentence = limit === 0 ? say('connect.full_none', { host }) : say('connect.full_text', { limit, host })
    return html`<h2 id="connect-heading">${say('connect.full')}</h2><p>${sentence}</p>`
  }
  const some = accounts.length > 0
  const label = shown(session.label)
  return html`<h2 id="connect-heading"${some ? nothing : html` class="unseen"`}>${say(some ? 'page.connect_another' : 'connect.heading')}</h2>
${label === null ? nothing : html`<p class="quiet">${say('connect.label', { label })}</p>`}
<form class="questions" method="post" action="/connect"><input type="hidden" name="form_token" value="${view.formToken}">
${typeQuestion(view)}
${ageQuestion(view)}
<p class="quiet small">${say('connect.why_asked')}</p>
${neededScopes(view)}
<button class="primary large">${say('connect.button')}</button>
<p class="quiet small">${say('connect.next', { tiktok: view.tiktokHost })}</p>
</form>
${scopeList(view)}`
}

/** A session that was made to reconnect one account; it can connect no other. */
function reconnectPanel(view: ConnectView, accountId: string): Html {
  const { tongue } = view.setting
  const { say } = tongue
  const account = view.accounts.find(({ id }) => id === accountId)
  const isUnseen = !mayOnPage(view.session, 'accounts:read')
  const heading = html`<h2 id="connect-heading">${say('connect.reconnect')}</h2>`
  if (!account && !isUnseen) return html`${heading}<p>${say('connect.reconnect_gone')}</p>`
  return html`${heading}
${account ? html`<p>${say('connect.reconnect_text', { name: nameOf(account, tongue) })}</p>` : nothing}
${neededScopes(view)}
<form method="post" action="/connect/accounts/${accountId}/reconnect"><input type="hidden" name="form_token" value="${view.formToken}">
<button class="primary large">${say('account.reconnect')}</button></form>
<p class="quiet small">${say('connect.next', { tiktok: view.tiktokHost })}</p>
${scopeList(view)}`
}

function typeQuestion({ session, notDone, setting }: ConnectView): Html {
  const { say } = setting.tongue
  const wrong = notDone !== undefined && questions[notDone] === 'type'
  const choices = [...accountTypes, 'other' as const].map((value) => {
    return html`<label class="choice"><input type="radio" name="account_type" value="${value}" required${session.accountType === value ? html` checked` : nothing}> <span><b>${say(`connect.type.${value}`)}</b> <span class="quiet">${say(`connect.type.${value}_hint`)}</span></span></label>`
  })
  return html`<fieldset id="type"${wrong ? html` aria-describedby="type-wrong"` : nothing}><legend>${say('connect.type')}</legend>
${wrong ? html`<p class="wrong" id="type-wrong">${say('connect.type_wrong')}</p>` : nothing}${choices}</fieldset>`
}

function ageQuestion({ session, notDone, setting }: ConnectView): Html {
  const { say } = setting.tongue
  const wrong = notDone !== undefined && questions[notDone] === 'age'
  return html`<fieldset id="age"${wrong ? html` aria-describedby="age-wrong"` : nothing}><legend>${say('connect.age')}</legend>
${wrong ? html`<p class="wrong" id="age-wrong">${say('connect.age_wrong')}</p>` : nothing}<label class="choice"><input type="checkbox" name="age_confirmed" value="yes" required${session.ageConfirmedAt === null ? nothing : html` checked`}> <span><b>${say('connect.age_statement')}</b></span></label></fieldset>`
}

/** Said before the button, whatever is folded. */
function neededScopes({ scopes, requiredScopes, setting }: ConnectView): Html {
  const needed = scopes.filter((scope) => requiredScopes.includes(scope))
  if (needed.length === 0) return nothing
  const { tongue } = setting
  return html`<p class="quiet small">${tongue.say('connect.scopes_needed', { permissions: permissionList(needed, tongue) })}</p>`
}

/** Folded, because TikTok shows the same again; and behind the button, so that nobody has to pass it. */
function scopeList({ scopes, requiredScopes, requiredOnly, setting }: ConnectView): Html {
  const { tongue } = setting
  const { say } = tongue
  const tag = (scope: string) =>
    requiredScopes.includes(scope)
      ? html`<span class="tag">${say('connect.needed')}</span>`
      : html`<span class="tag open">${say('connect.optional')}</span>`
  const items = scopes.map((scope) => {
    const { what, why } = scopeInWords(tongue, scope)
    return html`<li><b>${what}</b> ${tag(scope)}<span class="quiet small">${why}</span></li>`
  })
  return html`<details class="asked"><summary>${say('connect.scopes')}</summary>
<p class="quiet small">${say(requiredOnly ? 'connect.scopes_fewer' : 'connect.scopes_hint')}</p><ul class="scopes">${items}</ul></details>`
}
