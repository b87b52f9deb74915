// The markup of the hosted page: who it is for, the owner's accounts, and how to connect another. connect-page.ts decides.
import type { Account } from '../account/account.ts'
import type { Allowance } from '../connect/limits.ts'
import { asksFirst, mayOnPage } from '../connect/visit.ts'
import type { Ended } from '../db/accounts.ts'
import { accountTypes } from '../db/codes.ts'
import type { ConnectSession } from '../db/connect-sessions.ts'
import { inSentence, shown } from '../names.ts'
import { accountCard, nameInSentence } from './account-card.ts'
import type { Brand } from './brand.ts'
import { count, day, duration } from './formats.ts'
import { type Back, type Html, html, nothing, type Page, page } from './page.ts'
import { type DoneCode, type NotDoneCode, texts } from './words.ts'

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
  brand: Brand
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
  const { session, accounts, back } = view
  const { page: words } = texts
  const some = accounts.length > 0
  const heading = some ? words.heading : words.headingFirst
  const header = html`<h1>${heading}</h1>
<p class="quiet">${words.forWhom(back.host, ownerOf(session))}</p>
<p class="quiet">${some ? nothing : html`${places(view)} `}<span class="part">${words.timeLeft(duration(session.secondsLeft))}</span></p>`
  const connect = html`<section class="panel" id="connect" aria-labelledby="connect-heading">${connectPanel(view)}</section>`
  const access = asksFirst(session)
    ? html`<div class="note top"><p><strong>${words.access(back.host, ownerOf(session))}</strong></p></div>`
    : nothing
  const content = some
    ? html`<div class="columns"><div>${accountList(view)}${endedList(view)}</div>${connect}</div>`
    : html`${endedList(view)}${connect}`
  return page(words.title, { brand: view.brand, header, content: html`${messages(view)}${access}${content}`, wide: some, back })
}

/** As the web app calls them; an id is better than a name that nobody sees. */
const ownerOf = ({ ownerName, ownerId }: ConnectSession): string => inSentence(shown(ownerName) ?? ownerId, texts.dir)

/** First and focused, so that a screen reader starts here after the redirect: live regions are not read out on load. */
function messages({ done, notDone }: ConnectView): Html {
  if (notDone !== undefined) {
    const question = questions[notDone]
    const way = question ? html`<p><a href="#${question}">${texts.toQuestion}</a></p>` : nothing
    return html`<div class="note top bad" role="alert" tabindex="-1" autofocus><p><strong>${texts.notDoneLead}</strong> ${texts.notDone[notDone]}</p>${way}</div>`
  }
  if (done !== undefined)
    return html`<div class="note top good" role="status" tabindex="-1" autofocus><p>${texts.done[done]}</p></div>`
  return nothing
}

function accountList(view: ConnectView): Html {
  const { session, accounts, more, nextSlots, formToken, visit, back } = view
  const cards = accounts.map((account) =>
    accountCard(account, {
      formToken,
      visit,
      mayReconnect: (session.reconnectAccountId ?? account.id) === account.id,
      mayChange: mayOnPage(session, 'accounts:write'),
      nextSlotAt: nextSlots.get(account.id)?.toISOString() ?? account.upload_quota.next_slot_at,
    }),
  )
  return html`<section aria-labelledby="accounts-heading">
<div class="bar"><h2 id="accounts-heading">${texts.page.accounts}</h2><p class="quiet">${places(view)}</p>${mayConnectAnother(view) ? html`<a class="jump" href="#connect">${texts.page.connectAnother}</a>` : nothing}</div>
<ul class="accounts">${cards}</ul>
${more ? html`<p class="quiet">${texts.page.more(count(accounts.length), back.host)}</p>` : nothing}
</section>`
}

/** Accounts that ended without the owner's doing. Their names are erased, so the day they were connected has to identify them. */
function endedList({ ended }: ConnectView): Html {
  if (ended.length === 0) return nothing
  const { heading, hint, connected } = texts.page.ended
  const items = ended.map(({ reason, connectedAt, disconnectedAt }) => {
    const why = texts.health[reason ?? ''] ?? texts.account.verdicts.disconnected
    return html`<li><b><time datetime="${disconnectedAt.toISOString()}">${day(disconnectedAt)}</time></b> ${why} <span class="quiet small">${connected(day(connectedAt))}</span></li>`
  })
  return html`<section class="ended" aria-labelledby="ended-heading">
<h2 id="ended-heading">${heading}</h2><p class="quiet small">${hint}</p>
<ul class="scopes">${items}</ul>
</section>`
}

function places({ session, allowance }: ConnectView): Html {
  if (!allowance || !mayOnPage(session, 'accounts:read')) return nothing
  const { tier, accountLimit, accountsConnected } = allowance
  const [used, limit] = [count(accountsConnected), count(accountLimit)]
  const { places, placesOfPlan } = texts.page
  return html`<span class="part">${tier === null ? places(used, limit) : placesOfPlan(used, limit, tier)}</span>`
}

/** Whether the panel asks its questions instead of saying why nothing can be connected. */
function mayConnectAnother({ session, allowance }: ConnectView): boolean {
  return session.reconnectAccountId === null && allowance !== undefined && allowance.accountsConnected < allowance.accountLimit
}

function connectPanel(view: ConnectView): Html {
  const { session, accounts, allowance, back } = view
  const words = texts.connect
  if (session.reconnectAccountId !== null) return reconnectPanel(view, session.reconnectAccountId)
  if (!allowance) return html`<h2 id="connect-heading">${words.unknown.heading}</h2><p>${words.unknown.text}</p>`
  if (!mayConnectAnother(view)) {
    const { heading, text, none } = words.full
    const sentence =
      allowance.accountLimit === 0
        ? none(back.host)
        : text(count(allowance.accountLimit), allowance.accountLimit === 1, back.host)
    return html`<h2 id="connect-heading">${heading}</h2><p>${sentence}</p>`
  }
  return html`<h2 id="connect-heading"${accounts.length > 0 ? nothing : html` class="unseen"`}>${accounts.length > 0 ? words.headingAnother : words.heading}</h2>
${shown(session.label) === null ? nothing : html`<p class="quiet">${words.label(inSentence(shown(session.label) ?? '', texts.dir))}</p>`}
<form class="questions" method="post" action="/connect"><input type="hidden" name="form_token" value="${view.formToken}">
${typeQuestion(view)}
${ageQuestion(view)}
<p class="quiet small">${words.whyAsked}</p>
${scopeList(view)}
<button class="primary large">${words.button}</button>
<p class="quiet small">${words.next(view.tiktokHost)}</p>
</form>`
}

/** A session that was made to reconnect one account; it can connect no other. */
function reconnectPanel(view: ConnectView, accountId: string): Html {
  const { heading, text, gone } = texts.connect.reconnectOnly
  const account = view.accounts.find(({ id }) => id === accountId)
  const isUnseen = !mayOnPage(view.session, 'accounts:read')
  if (!account && !isUnseen) return html`<h2 id="connect-heading">${heading}</h2><p>${gone}</p>`
  return html`<h2 id="connect-heading">${heading}</h2>
${account ? html`<p>${text(nameInSentence(account))}</p>` : nothing}
${scopeList(view)}
<form method="post" action="/connect/accounts/${accountId}/reconnect"><input type="hidden" name="form_token" value="${view.formToken}">
<button class="primary large">${texts.account.reconnect}</button></form>
<p class="quiet small">${texts.connect.next(view.tiktokHost)}</p>`
}

function typeQuestion({ session, notDone }: ConnectView): Html {
  const words = texts.connect
  const wrong = notDone !== undefined && questions[notDone] === 'type'
  const choices = [...accountTypes, 'other' as const].map((value) => {
    const { name, hint } = words.types[value]
    return html`<label class="choice"><input type="radio" name="account_type" value="${value}" required${session.accountType === value ? html` checked` : nothing}> <span><b>${name}</b> <span class="quiet">${hint}</span></span></label>`
  })
  return html`<fieldset id="type"${wrong ? html` aria-describedby="type-wrong"` : nothing}><legend>${words.type}</legend>
${wrong ? html`<p class="wrong" id="type-wrong">${words.typeWrong}</p>` : nothing}${choices}</fieldset>`
}

function ageQuestion({ session, notDone }: ConnectView): Html {
  const wrong = notDone !== undefined && questions[notDone] === 'age'
  return html`<fieldset id="age"${wrong ? html` aria-describedby="age-wrong"` : nothing}><legend>${texts.connect.age}</legend>
${wrong ? html`<p class="wrong" id="age-wrong">${texts.connect.ageWrong}</p>` : nothing}<label class="choice"><input type="checkbox" name="age_confirmed" value="yes" required${session.ageConfirmedAt === null ? nothing : html` checked`}> <span><b>${texts.connect.ageStatement}</b></span></label></fieldset>`
}

function scopeList({ scopes, requiredScopes, requiredOnly }: ConnectView): Html {
  const { scopes: heading, scopesHint, scopesFewer, needed, optional } = texts.connect
  const items = scopes.map((scope) => {
    const { what, why } = texts.scopes[scope] ?? texts.unknownScope(scope)
    return html`<li><b>${what}</b> ${requiredScopes.includes(scope) ? html`<span class="tag">${needed}</span>` : html`<span class="tag open">${optional}</span>`}<span class="quiet small">${why}</span></li>`
  })
  return html`<div class="asked"><h3>${heading}</h3><p class="quiet small">${requiredOnly ? scopesFewer : scopesHint}</p><ul class="scopes">${items}</ul></div>`
}
