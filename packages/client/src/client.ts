// The client: one object per service and key, to be made once and shared. Its methods are the service's operations, and on top of them what
// every caller would write by itself: a token with one more try, an upload from its reservation to its commit, lists without pages.
import { Accounts } from './accounts.ts'
import { Audit } from './audit.ts'
import { ConnectSessions } from './connect-sessions.ts'
import { Events } from './events.ts'
import { Owners } from './owners.ts'
import { Tokens } from './tokens.ts'
import { Transport, type TransportOptions } from './transport.ts'
import { Uploads } from './uploads.ts'

export class TikTokAccounts {
  readonly connectSessions: ConnectSessions
  readonly accounts: Accounts
  readonly uploads: Uploads
  readonly events: Events
  readonly owners: Owners
  readonly audit: Audit

  /** @throws TypeError when the address or the key cannot be one */
  constructor(options: TransportOptions) {
    const transport = new Transport(options)
    const tokens = new Tokens(transport)
    this.connectSessions = new ConnectSessions(transport)
    this.accounts = new Accounts(transport, tokens)
    this.uploads = new Uploads(transport, tokens)
    this.events = new Events(transport, tokens)
    this.owners = new Owners(transport)
    this.audit = new Audit(transport)
  }
}

export type { Picture } from './accounts.ts'
export type { FailureCode } from './errors.ts'
export { AccountsError, CallerError, OperatorError, readTikTok, TikTokRefusal, TimeError, UserError } from './errors.ts'
export type { FollowedEvent, FollowOptions } from './events.ts'
export type { HeadersLike, VerifyOptions } from './signature.ts'
export { verifyEvent } from './signature.ts'
export type { TokenOptions } from './tokens.ts'
export type { CallOptions, HeardResponse, SentRequest, TransportOptions } from './transport.ts'
export type { Done, Reservation, ReserveOptions, RunOptions, UploadWork } from './uploads.ts'
/** Every named schema of the OpenAPI file. */
export type * from './wire.ts'
