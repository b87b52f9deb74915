/** On the front page: drafts that wait in people's inboxes, each with the button that its person would press in TikTok. */
import { type Markup, markup } from '../page.ts'
import { type Answer, json, type Request, redirect } from '../wire.ts'
import type { World } from '../world.ts'

const postRoute = /^\/publications\/([^/]+)\/post$/

/** @returns nothing while no draft waits */
export function inboxes({ people, publications, settings }: World): Markup {
  const waiting = [...publications.all()].flatMap((publication) => {
    const person = people.find(publication.person)
    return person && publication.status === 'SEND_TO_USER_INBOX' ? [{ ...publication, person }] : []
  })
  if (waiting.length === 0) return markup``
  return markup`
<section><h2>Drafts in inboxes</h2>
<ul class="people">${waiting.map(
    ({ person, publish_id, media }) => markup`
<li class="card"><div><span class="name">${person.displayName}</span><p class="small quiet">A ${media} from ${settings.app_name}: <code>${publish_id}</code></p>
<form method="post" action="/publications/${publish_id}/post?client_key=${settings.client_key}"><button class="minor">Post<span class="unseen"> the draft of ${person.displayName}</span></button></form></div></li>`,
  )}</ul></section>`
}

/** The button's route. @returns undefined for another path */
export function postByButton({ publications, settings }: World, request: Request): Answer | undefined {
  const [, publishId] = postRoute.exec(request.path) ?? []
  if (publishId === undefined || request.method !== 'POST') return undefined
  const publication = publications.find(publishId)
  if (publication?.status !== 'SEND_TO_USER_INBOX') return json(404, { error: 'no such draft waits in an inbox' })
  publications.post(publication, publications.usualPrivacy(publication))
  return redirect(303, `/?client_key=${settings.client_key}`)
}
