/** The forward proxy, and not whom it leads to: nothing of a request has left us. */
export class ProxyFailed extends Error {
  readonly code = 'PROXY_FAILED'
  /** what it does instead, to be read after its name */
  readonly what: string
  constructor(what: string, cause?: unknown) {
    super(`the proxy of HTTPS_PROXY ${what}`, { cause })
    this.name = 'ProxyFailed'
    this.what = what
  }
}
