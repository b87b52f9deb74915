/** The front page: who there is, what they allowed, and a button to take it back, as in TikTok's list of connected apps. */
import { avatarUrl } from './avatars.ts'
import { nameLines } from './consent-page.ts'
import { type Markup, markup, page } from './page.ts'
import type { Person } from './person.ts'
import { inboxes } from './posting/inbox.ts'
import { removeApp } from './revoke.ts'
import { type Answer, html, json, type Request, redirect } from './wire.ts'
import type { World } from './world.ts'

const removeRoute = /^\/people\/([a-z0-9_-]+)\/remove-app$/

/** @param apps of one developer, whose people are the same */
export function home(world: World, apps: readonly World[]): Answer {
  const { settings, clock } = world
  return html(
    200,
    page(
      'People and their apps',
      markup`
<h1>People and the apps they connected</h1>
<p class="quiet">Removing an app ends its tokens at once, and it is told by webhook.</p>
<ul class="people">${Array.from(world.people.shown(), (person) => card(apps, person))}</ul>
${apps.map(inboxes)}
<section><h2>This simulator</h2>
<dl>
${apps.map((app) => markup`<dt>App</dt><dd>${app.settings.app_name} (<code>${app.settings.client_key}</code>)</dd>`)}
<dt>Clock</dt><dd>${clock.report().now}</dd>
<dt>Token lives</dt><dd>${settings.lifetimes} (access/refresh)</dd>
<dt>Webhooks to</dt><dd>${settings.webhook_url ?? 'nowhere: no webhook URL is set'}</dd>
<dt>Requests</dt><dd><a href="/_sim/inspector">what was asked, and why it was answered so</a></dd>
<dt>Control</dt><dd><code>/_sim/stats</code>, <code>/_sim/faults</code>, <code>/_sim/clock</code> … described in docs/simulator.md</dd>
</dl></section>`,
    ),
  )
}

/** The button's route. @returns undefined for another path */
export function removeAppByButton(world: World, request: Request): Answer | undefined {
  const [, id] = removeRoute.exec(request.path) ?? []
  if (id === undefined || request.method !== 'POST') return undefined
  const person = world.people.find(id)
  if (!person) return json(404, { error: 'nobody here by that name' })
  removeApp(world, person, 1)
  return redirect(303, `/?client_key=${world.settings.client_key}`)
}

function card(apps: readonly World[], person: Person): Markup {
  const connectedOnes = apps.filter(({ grants }) => grants.ofPerson(person).length > 0)
  return markup`
<li class="card">${apps.slice(0, 1).map((world) => markup`<img src="${avatarUrl(world, '', person, 100)}" alt="" width="52" height="52">`)}
<div>${nameLines(person)}${connectedOnes.length === 0 ? markup`<p class="quiet small">App not connected</p>` : connectedOnes.map((world) => connected(world, person))}</div></li>`
}

function connected({ settings, grants }: World, person: Person): Markup {
  const { id, displayName } = person
  return markup`<p class="small">${settings.app_name}</p>${grants.ofPerson(person).map(
    ({ scopes, createdAt, rotations }) => markup`
<p class="small">Allowed <code>${scopes.join(', ')}</code><span class="line quiet">since ${minutes(createdAt)}, refreshed ${rotations} times</span></p>`,
  )}
<form method="post" action="/people/${id}/remove-app?client_key=${settings.client_key}"><button class="minor">Remove app<span class="unseen"> of ${displayName}</span></button></form>`
}

function minutes(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
