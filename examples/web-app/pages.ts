// What people see: the login, their accounts, and the question before a disconnect. No script; every button is a form.
import type { Account, AccountsError } from 'oauth-accounts-for-tiktok'
import { type Html, html, nothing } from './html.ts'
import type { Message, Session } from './session.ts'
import { type User, users } from './users.ts'
import { day, figure, healthInWords, minute } from './words.ts'

/** What of a token may be shown to people: never the token. */
export interface ShownToken {
  accountId: string
  prefix: string
  expiresAt: string
  generation: number
  scopes: string[]
  degraded: boolean
}

export type TokenResult = ShownToken | { accountId: string; problem: AccountsError }

export function loginPage({ csrf }: Session, message: Message | undefined): Html {
  return page(
    'Log in',
    html`${notice(message)}
<section class="card form" aria-labelledby="login">
<h1 id="login">Who are you?</h1>
<p class="quiet">This example has two users and no passwords. Ada may connect ten TikTok accounts, Ben one.</p>
<form method="post" action="/login" class="row">${hidden(csrf)}${users.map(
      (user) => html`<button class="primary" name="user" value="${user.id}">Continue as ${user.name}</button>`,
    )}</form>
</section>`,
  )
}

export function accountsPage(
  { csrf }: Session,
  user: User,
  accounts: readonly Account[],
  { message, token }: { message?: Message | undefined; token?: TokenResult | undefined } = {},
): Html {
  const live = accounts.filter(({ status }) => status !== 'disconnected')
  const gone = accounts.filter(({ status }) => status === 'disconnected')
  return page(
    'Your TikTok accounts',
    html`${notice(message)}
<h1>Your TikTok accounts</h1>
${live.length === 0 ? html`<p class="quiet">None yet. Connect the first one below.</p>` : html`<ul class="accounts">${live.map((account) => accountCard(account, csrf, token?.accountId === account.id ? token : undefined))}</ul>`}
${connectForm(csrf)}
${gone.length === 0 ? nothing : goneList(gone)}`,
    { user, csrf },
  )
}

/** Asked before, because connecting again takes a walk to TikTok. */
export function disconnectPage({ csrf }: Session, user: User, account: Account): Html {
  return page(
    'Disconnect',
    html`<section class="card form" aria-labelledby="question">
<h1 id="question">Disconnect ${nameOf(account)}?</h1>
<p>Uploads to this account stop at once. We erase our access and its profile, and tell TikTok. To use it again you have to connect it again.</p>
<form method="post" action="/accounts/${account.id}/disconnect" class="row">${hidden(csrf)}
<button class="danger">Disconnect ${nameOf(account)}</button><a class="button" href="/">Keep it</a></form>
</section>`,
    { user, csrf },
  )
}

export function messagePage(message: Message): Html {
  const { kind, title, text } = message
  return page(
    title,
    html`<div class="message ${kind}" role="${roleOf(kind)}"><h1>${title}</h1><p>${text}</p></div><p><a href="/">Back to your accounts</a></p>`,
  )
}

function accountCard(account: Account, csrf: string, token: TokenResult | undefined): Html {
  const { id, profile, accountType: type, uploadQuota: quota } = account
  const health = healthInWords(account)
  const name = nameOf(account)
  const of = html`<span class="unseen"> of ${name}</span>`
  return html`<li class="card" id="${id}">
<div class="who">${face(account)}
<div><h2><bdi>${name}</bdi></h2>
<p>${profile.username === null ? html`<span class="quiet">no username shared</span>` : html`@${profile.username}`}${profile.isVerified ? html` <span class="badge">Verified badge</span>` : nothing}</p>
${account.label === null ? nothing : html`<p class="quiet">${account.label}</p>`}</div></div>
<p class="status ${health.tone}">${health.text}</p>
<dl>
<dt>Followers</dt><dd>${profile.followerCount === null ? 'not shared' : figure(profile.followerCount)}</dd>
<dt>Type</dt><dd>${type.value === 'creator' ? 'Creator' : 'Business'} <span class="quiet">(your own statement of ${day(type.attestedAt)})</span></dd>
<dt>Uploads</dt><dd>${quota.remaining} of ${quota.limit} left in these 24 hours${quota.nextSlotAt === null ? nothing : html`, next at ${minute(quota.nextSlotAt)}`}</dd>
</dl>
<form method="post" action="/accounts/${id}/label" class="row">${hidden(csrf)}
<label class="field">Label<span class="unseen"> of ${name}</span><input type="text" name="label" value="${account.label ?? ''}" maxlength="100" autocomplete="off"></label>
<button>Save${html`<span class="unseen"> the label of ${name}</span>`}</button></form>
${token === undefined ? nothing : tokenPanel(token)}
<div class="row">
<form method="post" action="/accounts/${id}/token#${id}">${hidden(csrf)}<button title="As the upload service does, with a key of its own">Fetch a token${of}</button></form>
<form method="post" action="/accounts/${id}/verify">${hidden(csrf)}<button>Check now${html`<span class="unseen">: ${name}</span>`}</button></form>
<form method="post" action="/accounts/${id}/reconnect">${hidden(csrf)}<button>Reconnect${html`<span class="unseen"> ${name}</span>`}</button></form>
<a class="button danger" href="/accounts/${id}/disconnect">Disconnect${html`<span class="unseen"> ${name}</span>`}</a>
</div>
</li>`
}

function tokenPanel(token: TokenResult): Html {
  if ('problem' in token) {
    return html`<div class="token" role="status"><h3>No token</h3><p>${token.problem.message} <span class="quiet">(${token.problem.code})</span></p></div>`
  }
  return html`<div class="token" role="status"><h3>A token, as the upload service gets it</h3>
<dl>
<dt>Token</dt><dd><code>${token.prefix}…</code> <span class="quiet">(the rest stays on the server)</span></dd>
<dt>Expires</dt><dd>${minute(token.expiresAt)}</dd>
<dt>Generation</dt><dd>${token.generation}</dd>
<dt>Scopes</dt><dd>${token.scopes.join(', ')}</dd>
</dl>
${token.degraded ? html`<p class="warn">TikTok did not answer, so this one has less time left than usual.</p>` : nothing}
<p class="quiet">Fetched with the upload service's key. The web app's own key may not read tokens.</p></div>`
}

function connectForm(csrf: string): Html {
  return html`<section class="card form" aria-labelledby="connect">
<h2 id="connect">Connect a TikTok account</h2>
<form method="post" action="/connect" class="stack">${hidden(csrf)}
<fieldset><legend>What do you use it for?</legend>
<label class="choice"><input type="radio" name="account_type" value="creator" required> <span>Creator <span class="quiet">You post as yourself.</span></span></label>
<label class="choice"><input type="radio" name="account_type" value="business" required> <span>Business <span class="quiet">You post for a company, a brand or an organization.</span></span></label>
</fieldset>
<fieldset><legend>Your age</legend>
<label class="choice"><input type="checkbox" name="age_confirmed" value="yes" required> <span>I am 18 or older.</span></label>
</fieldset>
<label class="field">Label, if you like<input type="text" name="label" maxlength="100" autocomplete="off"></label>
<div class="row"><button class="primary">Connect TikTok</button></div>
</form>
<hr>
<form method="post" action="/connect/hosted" class="row">${hidden(csrf)}
<p class="quiet">Or let the service ask: an app that does not want to build this form sends people to the hosted page.</p>
<button>Use the hosted page</button></form>
</section>`
}

function goneList(accounts: readonly Account[]): Html {
  return html`<details><summary>Disconnected (${accounts.length})</summary><ul class="plain">${accounts.map(
    (account) =>
      html`<li><code>${account.id}</code> <span class="quiet">${day(account.disconnectedAt)}: ${healthInWords(account).text}</span></li>`,
  )}</ul></details>`
}

function face({ id, profile }: Account): Html {
  return profile.avatarUrl === null
    ? html`<span class="face" aria-hidden="true">${[...(profile.displayName ?? profile.username ?? '?')][0] ?? '?'}</span>`
    : html`<img class="face" src="/accounts/${id}/picture" alt="" width="64" height="64">`
}

function nameOf({ profile, label }: Account): string {
  const handle = profile.username === null ? null : `@${profile.username}`
  return profile.displayName ?? label ?? handle ?? 'TikTok account'
}

function notice(message: Message | undefined): Html {
  if (!message) return nothing
  const { kind, title, text } = message
  return html`<div class="message ${kind}" role="${roleOf(kind)}"><h2>${title}</h2><p>${text}</p></div>`
}

const roleOf = (kind: Message['kind']) => (kind === 'bad' ? 'alert' : 'status')

function hidden(csrf: string): Html {
  return html`<input type="hidden" name="csrf" value="${csrf}">`
}

function page(title: string, main: Html, login?: { user: User; csrf: string }): Html {
  return html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title} · Example app</title><link rel="stylesheet" href="/style.css"><link rel="icon" href="data:,"></head>
<body>
<header><p class="brand">Example app</p>${
    login
      ? html`<form method="post" action="/logout">${hidden(login.csrf)}<p>${login.user.name} <span class="quiet">${login.user.plan}</span></p><button>Log out</button></form>`
      : nothing
  }</header>
<main>${main}</main>
<footer class="quiet"><p>An example caller of the TikTok OAuth service. It never sees TikTok's OAuth, and its key cannot read tokens.</p></footer>
</body>
</html>
`
}
