/** What was asked of the simulated TikTok and what it said, for whoever wonders why. Only the last few hundred, and long bodies not at all. */
import type { ServerResponse } from 'node:http'
import type { Call, Fault } from './faults.ts'
import type { Answer, Request } from './wire.ts'

export interface Exchange {
  readonly id: number
  /** By the machine's clock, in milliseconds since 1970. */
  readonly at: number
  readonly request: Request
  call: Call | undefined
  /** What TikTok would say. A fault may keep it from being said, or change it. */
  answer: Answer | undefined
  fault: Fault | undefined
  /** What was sent; 0 when the connection broke, undefined while it is under way. */
  status: number | undefined
  endedAt: number | undefined
  /** Grows with every change of any exchange. */
  revision: number
}

const kept = 500
const maxBodyBytes = 16_384

export class Exchanges {
  #exchanges: Exchange[] = []
  readonly #numbers: { count: number; revision: number; forgottenAt: number }

  /** @param countedWith another app's, so that both can be shown in one list */
  constructor(countedWith?: Exchanges) {
    this.#numbers = countedWith ? countedWith.#numbers : { count: 0, revision: 0, forgottenAt: 0 }
  }

  begin(request: Request, response: ServerResponse): Exchange {
    this.#numbers.count += 1
    const body = request.body.length > maxBodyBytes ? Buffer.alloc(0) : request.body
    const exchange: Exchange = {
      id: this.#numbers.count,
      at: Date.now(),
      request: { ...request, body },
      call: undefined,
      answer: undefined,
      fault: undefined,
      status: undefined,
      endedAt: undefined,
      revision: 0,
    }
    this.#changed(exchange)
    this.#exchanges.push(exchange)
    if (this.#exchanges.length > kept) this.#exchanges.shift()
    response.once('close', () => {
      exchange.status = response.writableFinished ? response.statusCode : 0
      exchange.endedAt = Date.now()
      this.#changed(exchange)
    })
    return exchange
  }

  answered(exchange: Exchange, answer: Answer): Answer {
    const long = typeof answer.body !== 'string' || answer.body.length > maxBodyBytes
    exchange.answer = long ? { ...answer, body: '' } : answer
    this.#changed(exchange)
    return answer
  }

  /** Newest first. */
  changedAfter(revision: number): Exchange[] {
    return this.#exchanges.filter((exchange) => exchange.revision > revision).reverse()
  }

  /** Whether who knows all up to this revision knows what is no more: it was forgotten since, or is another process's. */
  isOutdated(revision: number): boolean {
    return revision < this.#numbers.forgottenAt || revision > this.#numbers.revision
  }

  get revision(): number {
    return this.#numbers.revision
  }

  /** A list of what happened belongs to no moment: it is begun anew, and not part of what is saved. */
  forget(): void {
    this.#exchanges = []
    this.#numbers.revision += 1
    this.#numbers.forgottenAt = this.#numbers.revision
  }

  #changed(exchange: Exchange): void {
    this.#numbers.revision += 1
    exchange.revision = this.#numbers.revision
  }
}
