// A person's visit to the hosted page of a connect session: who may look, who may act, and on which accounts.
//
// Looking binds nothing, acting does: link previews and mail scanners open links before people do (S14). Every browser gets a
// pass, and the first POST with a pass binds the session to it.

import { everything } from '../access/reach.ts'
import { type Account, type AccountDeps, getAccount, pageOfAccounts } from '../account/account.ts'
import { type Ended, listEnded } from '../db/accounts.ts'
import type { Db } from '../db/client.ts'
import { bindSession, type ConnectSession, findSessionByLinkSecret } from '../db/connect-sessions.ts'
import { accountNotFound, ServiceError } from '../errors.ts'
import type { Refusals } from '../refusals.ts'
import { nextSlotsOf } from '../uploads/quota.ts'
import { digest, randomToken, sameDigest } from '../vault/digest.ts'
import { onPageOf, type PageRight, sessionOfLink, wayBackForStrangers } from './connect-session.ts'

export interface VisitDeps {
  db: Db
  refusals: Refusals
}

/** What a visiting browser keeps in its cookie: the secret of the link, and one of its own. */
export interface Pass {
  linkSecret: string
  visitorSecret: string
}

/** More accounts than a page shows well; the web app's own list has pages. */
const mostAccounts = 100
/** What ended earlier is old news. */
const endedDays = 30
const mostEnded = 20

/**
 * Exchanges the secret of a connect link for a pass.
 *
 * @param present the pass this browser came with, if any: the same link opened again gets the same one
 * @returns that one, or a new one for as long as its session lives
 * @throws ServiceError session_invalid | session_expired | browser_mismatch
 */
export async function openVisit(
  deps: VisitDeps,
  linkSecret: string,
  present: Pass | null,
): Promise<{ pass: Pass; lifeSeconds: number | null }> {
  if (present !== null) return { pass: present, lifeSeconds: null }
  const session = await sessionOfLink(deps, linkSecret)
  checkBrowser(deps, session, null)
  return { pass: { linkSecret, visitorSecret: randomToken() }, lifeSeconds: session.secondsLeft }
}

/**
 * For looking: the session of a pass, wherever it stands by now.
 *
 * @throws ServiceError session_invalid: there is none any more | browser_mismatch
 */
export async function sessionOfVisit(deps: VisitDeps, pass: Pass): Promise<ConnectSession> {
  const session = await findSessionByLinkSecret(deps.db, digest(pass.linkSecret))
  if (!session || session.disowned)
    throw new ServiceError('session_invalid', 'Nothing is open here. Go back to where you came from and start again.')
  checkBrowser(deps, session, pass)
  return session
}

/**
 * For acting: the first act binds the session to this browser.
 *
 * @throws ServiceError session_invalid | session_expired | browser_mismatch
 */
export async function actInVisit(deps: VisitDeps, pass: Pass): Promise<ConnectSession> {
  const session = await sessionOfLink(deps, pass.linkSecret)
  checkBrowser(deps, session, pass)
  if (!(await bindSession(deps.db, session.id, digest(pass.visitorSecret)))) {
    // Lost a race: another browser acted, or the session went on, since the read above.
    checkBrowser(deps, await sessionOfLink(deps, pass.linkSecret), pass)
    throw new ServiceError('session_invalid', 'This link was used already. Go back to where you came from and start again.', {
      ...onPageOf(session),
    })
  }
  return session
}

/** @throws ServiceError browser_mismatch: another browser has acted in this session */
export function checkBrowser({ refusals }: Pick<VisitDeps, 'refusals'>, session: ConnectSession, pass: Pass | null): void {
  if (session.visitorHash === null) return
  if (pass !== null && sameDigest(digest(pass.visitorSecret), session.visitorHash)) return
  const facts = { sessionId: session.id }
  refusals.note({ kind: 'browser_mismatch', event: 'connect link came from another browser', who: session.id, facts })
  throw new ServiceError('browser_mismatch', 'This link is in use in another browser. Go on there, or start again.', {
    ...onPageOf(session, wayBackForStrangers(session)),
  })
}

/** What every form of the page carries, and no other site can know: the cookie alone is sent by the browser whoever asks for it. */
export function formTokenOf({ linkSecret, visitorSecret }: Pass): string {
  return digest(`form.${linkSecret}.${visitorSecret}`)
}

/** What an owner has, as far as a page shows it. */
export interface Owned {
  /** connected, oldest first; the one a session is for is always there */
  accounts: Account[]
  /** there are more than these */
  more: boolean
  /** of accounts that have used some of their slots and not all: when the next comes free */
  nextSlots: Map<string, Date>
  /** ended lately and not by the owner, newest first: nobody should wonder where an account has gone */
  ended: Ended[]
}

/** Nothing for a link whose key may not read accounts. */
export async function accountsOfVisit(deps: AccountDeps, session: ConnectSession): Promise<Owned> {
  const { ownerId, reconnectAccountId, reachedAccountIds } = session
  if (!mayOnPage(session, 'accounts:read')) return { accounts: [], more: false, nextSlots: new Map(), ended: [] }
  const reach = { ...everything, accountIds: reachedAccountIds }
  const of = (status: 'active' | 'reauthorization_required') =>
    pageOfAccounts(deps, { ownerId, statuses: [status], limit: mostAccounts, reach })
  const [active, down, ended] = await Promise.all([
    of('active'),
    of('reauthorization_required'),
    listEnded(deps.db, ownerId, endedDays, mostEnded, reach),
  ])
  const accounts = [...active.accounts, ...down.accounts]
  const more = active.nextCursor !== null || down.nextCursor !== null
  if (more && reconnectAccountId !== null && !accounts.some(({ id }) => id === reconnectAccountId)) {
    const meant = await getAccount(deps, reconnectAccountId)
    if (meant.status !== 'disconnected') accounts.push(meant)
  }
  const nextSlots = await nextSlotsOf(
    deps,
    accounts.map(({ id }) => id),
  )
  return { accounts: accounts.sort((a, b) => (a.id < b.id ? -1 : 1)), more, nextSlots, ended }
}

/**
 * Whether the person has to have seen on our page who gets access to what, and said yes there with this browser. In callback mode nobody asks
 * afterwards who this was.
 */
export const asksFirst = ({ completion, prompt }: ConnectSession): boolean => completion === 'callback' || prompt === 'consent'

export const mayOnPage = ({ rights }: ConnectSession, right: PageRight): boolean => rights.includes(right)

/**
 * @param right what is about to be done with it; undefined for what every link may: bring the account back
 * @throws ServiceError account_not_found: also for another owner's, of which nothing is told | account_disconnected
 * @throws ServiceError insufficient_scope: the key that made the link may not
 */
export async function accountOfVisit(
  deps: AccountDeps & { refusals: Refusals },
  session: ConnectSession,
  accountId: string,
  right?: PageRight,
): Promise<Account> {
  if (right !== undefined && !mayOnPage(session, right)) {
    const facts = { sessionId: session.id, keyId: session.createdBy, accountId, actor: 'owner' }
    deps.refusals.note({ kind: 'insufficient_scope', event: 'link went beyond its key', who: session.id, facts })
    throw new ServiceError('insufficient_scope', 'This link does not allow that. Go back to where you came from.')
  }
  const account = await getAccount(deps, accountId)
  if (account.owner_id !== session.ownerId || !(session.reachedAccountIds?.includes(accountId) ?? true)) {
    const facts = { sessionId: session.id, accountId, actor: 'owner' }
    deps.refusals.note({ kind: 'foreign_account', event: 'account of another owner was asked for', who: session.id, facts })
    throw accountNotFound()
  }
  if (account.status === 'disconnected') throw new ServiceError('account_disconnected', 'This account was disconnected already.')
  return account
}
