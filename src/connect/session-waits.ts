// Waiting for a connect session to move on, whichever replica moves it: for callers that would ask again and again.

import { openPoll } from '../concurrency/poll.ts'
import type { Db } from '../db/client.ts'
import { type ConnectSession, findSessions } from '../db/connect-sessions.ts'
import { ServiceError, sessionNotFound } from '../errors.ts'
import type { Recording } from '../token/recording.ts'
import { asSeenHere, getConnectSession, statusOf } from './connect-session.ts'

/** A connection each, and nothing more; one key cannot take the place of all others. */
const mostWaiting = 1000
const mostWaitingPerKey = 250
const pauses = { firstMs: 100, longestMs: 500 }

export interface SessionWaitDeps {
  db: Db
  recording: Pick<Recording, 'isUnsaved'>
  /** aborted when the process is about to end: whoever waits is answered, and asks another replica */
  leaving: AbortSignal
}

export function openSessionWaits(deps: SessionWaitDeps) {
  const poll = openPoll((ids: string[]) => findSessions(deps.db, ids), pauses)
  const waitingPerKey = new Map<string, number>()

  return {
    /**
     * The session as soon as its status is another than now, at once when it is over, and after so many seconds in any case.
     *
     * @param wait.signal the caller's: nobody is waited for who has gone
     * @throws ServiceError connect_session_not_found | overloaded: as many wait as may
     */
    async next(id: string, wait: { keyId: string; seconds: number; signal: AbortSignal }): Promise<ConnectSession> {
      const session = await getConnectSession(deps, id)
      const status = statusOf(session)
      if (wait.seconds === 0 || status === 'completed' || status === 'failed' || status === 'expired') return session

      const waiting = waitingPerKey.get(wait.keyId) ?? 0
      if (poll.size >= mostWaiting || waiting >= mostWaitingPerKey)
        throw new ServiceError(
          'overloaded',
          'Too many calls wait for connect sessions; ask without `wait`, or wait with fewer.',
          {
            retryAfterSeconds: 2,
          },
        )
      waitingPerKey.set(wait.keyId, waiting + 1)
      try {
        const moved = (seen: ConnectSession | undefined) => !seen || statusOf(asSeenHere(deps, seen)) !== status
        const signals = [wait.signal, deps.leaving]
        const found = await poll.until(id, moved, { timeoutMs: wait.seconds * 1000, signals })
        if (!found) return session
        if (!found.state) throw sessionNotFound()
        return asSeenHere(deps, found.state)
      } finally {
        const left = (waitingPerKey.get(wait.keyId) ?? 1) - 1
        if (left === 0) waitingPerKey.delete(wait.keyId)
        else waitingPerKey.set(wait.keyId, left)
      }
    },
  }
}
