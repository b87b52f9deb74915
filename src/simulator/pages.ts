/** Stand-in until the pages are drawn. */
import type { AuthorizationRequest, ParameterError } from './authorize.ts'
import type { World } from './world.ts'

export function consentPage(world: World, request: AuthorizationRequest, query: string): string {
  const people = [...world.people.shown()].map(
    (p) => `<label><input type="radio" name="person" value="${p.id}">${p.displayName}</label>`,
  )
  const boxes = request.scopes.map((s) => `<label><input type="checkbox" name="allow" value="${s}" checked>${s}</label>`)
  return `<!doctype html><form method="post" action="/v2/auth/authorize/?${query.replaceAll('&', '&amp;')}"><input type="hidden" name="boxes" value="1">${people.join('')}${boxes.join('')}<button name="decision" value="authorize">Authorize</button><button name="decision" value="deny">Deny</button></form>`
}

export function errorPage({ errorType, errCode }: ParameterError): string {
  return `<!doctype html><p>TikTok simulator: something went wrong: ${errorType} ${errCode ?? ''}</p>`
}
