// How long the steps of a refresh and of a connect may take. They stand together because they have to fit each other.
/** A lease outlives a whole call to TikTok and the record of its answer. */
export interface Timings {
  /** a claim ends by itself after this; longer than TikTok's total deadline plus the record */
  leaseSeconds: number
  /** a refresh is not sent with less of its lease left than this: the call's deadline and some */
  sendMarginSeconds: number
  /** before a token is sent whose last holder's lease ran out: longer than two tries to record an answer are apart */
  lateSaveMs: number
  /** between invalid_grant and believing it: a paused holder of the lease may still write */
  graceSeconds: number
  /** how long a caller waits for a refresh before it is told to come back */
  patienceMs: number
  /** how long the web app's backend, or the browser in callback mode, waits for a code exchange: TikTok's deadline and the record */
  completionPatienceMs: number
  /** how long a connect waits for the profile: long enough for a picture to be there when the web app shows the account, short enough not to annoy */
  profilePatienceMs: number
  /** how long `verify` waits for a profile: twice this and a refresh fit into the time a request has */
  verifyPatienceMs: number
  /** the first wait after a failed refresh; doubles up to the last */
  firstBackoffSeconds: number
  lastBackoffSeconds: number
  /** how long after its record a disconnect is answered: a vend that takes more than half of it looks again before the token leaves */
  disconnectFenceMs: number
  /** a flight that has not settled by then is given up by its callers */
  flightDeadlineMs: number
}

export const timings: Timings = {
  leaseSeconds: 30,
  sendMarginSeconds: 12,
  lateSaveMs: 1000,
  graceSeconds: 60,
  patienceMs: 4000,
  completionPatienceMs: 15_000,
  profilePatienceMs: 2500,
  verifyPatienceMs: 8000,
  firstBackoffSeconds: 2,
  lastBackoffSeconds: 60,
  disconnectFenceMs: 500,
  flightDeadlineMs: 25_000,
}
