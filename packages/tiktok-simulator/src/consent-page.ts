/** What a person sees in the middle of an authorization: who am I, what do I allow, yes or no. And the page for when it is wrong. */
import type { AuthorizationRequest, ParameterError } from './authorization-request.ts'
import { avatarUrl } from './avatars.ts'
import { inWords, type Markup, markup, page } from './page.ts'
import type { Person } from './person.ts'
import type { Scope } from './settings.ts'
import type { World } from './world.ts'

const scopeWords: Record<Scope, string> = {
  'user.info.basic': 'Your display name, picture and an id for this app',
  'user.info.profile': 'Your username, bio, profile link and whether you have the verified badge',
  'user.info.stats': 'How many followers, likes and videos you have',
  'video.list': 'Your public videos',
  'video.upload': 'Put draft videos into your inbox, for you to finish and post',
  'video.publish': 'Post videos to your profile',
}

export function consentPage(world: World, request: AuthorizationRequest, query: string, signedIn: Person | undefined): string {
  const { app_name: appName, client_key: clientKey } = world.settings
  const people = [...world.people.shown()]
  const chosen = signedIn ?? people[0]
  return page(
    `Allow ${appName}?`,
    markup`
<h1>${appName} wants to use your TikTok account</h1>
<p class="quiet">Client key <code>${clientKey}</code>. You will return to <code>${request.redirectUri}</code></p>
<form method="post" action="/v2/auth/authorize/?${query}">
<fieldset><legend>Continue as</legend>
<div class="people">${people.map((person) => choice(world, person, person === chosen))}</div>
</fieldset>
<fieldset><legend>Allow ${appName} to see and do this</legend>
<input type="hidden" name="boxes" value="shown">
${request.scopes.map(scopeBox)}
</fieldset>
<div class="actions">
<button class="primary" name="decision" value="authorize">Authorize</button>
<button name="decision" value="deny">Deny</button>
</div>
</form>`,
  )
}

/** TikTok shows such a page itself and does not tell the app. */
export function errorPage({ errorType, errCode }: ParameterError): string {
  return page(
    'Something went wrong',
    markup`
<h1>Something went wrong</h1>
<p>The log in could not start. This may be due to the settings of the app.</p>
<p>If you are its developer, correct this and try again: <strong><code>${errorType}</code></strong></p>
<p class="quiet"><code>error=param_error&amp;errCode=${errCode ?? 'unknown'}&amp;error_type=${errorType}</code></p>
<p class="quiet">As at TikTok, the redirect URI was not called.</p>`,
  )
}

function choice(world: World, person: Person, chosen: boolean): Markup {
  const { id, about } = person
  return markup`
<label class="card"><input type="radio" name="person" value="${id}" required${chosen ? markup` checked` : ''}>
<img src="${avatarUrl(world, '', person, 100)}" alt="" width="52" height="52">
<span>${nameLines(person)}<span class="line quiet small">${about}</span></span></label>`
}

export function nameLines({ displayName, username, isVerified, followerCount, leavesOut }: Person): Markup {
  const handle = leavesOut.includes('username') ? 'no username' : `@${username}`
  return markup`<span class="name"><bdi>${displayName}</bdi>${isVerified ? markup` <span class="badge">verified</span>` : ''}</span>
<span class="line small">${handle} · ${inWords(followerCount, 'follower')}</span>`
}

/** Everything can be declined but the basics, without which there would be nobody to log in. */
function scopeBox(scope: string): Markup {
  const always = scope === 'user.info.basic'
  const words = scopeWords[scope as Scope]
  return markup`
<label class="scope"><input type="checkbox" name="allow" value="${scope}" checked${always ? markup` disabled` : ''}>
<span>${words}<span class="line quiet small"><code>${scope}</code>${always ? ', always included' : ''}</span></span></label>`
}
