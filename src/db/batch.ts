// Questions that come at the same moment go to the database as one statement. A statement costs a round trip, a plan and a
// commit whether it asks for one row or for thirty; a busy service asks for the same thing many times a millisecond.
import { overloaded } from './semaphore.ts'

export interface Batch<Question, Answer> {
  ask(question: Question): Promise<Answer>
}

/**
 * While fewer than `lanes` statements are out, a question leaves with all others of the same turn of the event loop. Otherwise it
 * waits for the next statement that comes back.
 *
 * @param run asks all at once; its answers are in the order of the questions. When it throws, all of them fail. `queueMs` is what is left of the
 *   patience of whoever asked first: waiting here and for a connection is one wait
 * @param limits.lanes two: while one statement is out the next fills up, and a slow one does not hold up everybody
 * @param limits.queueMs whoever waited this long for a statement to leave is told `overloaded` (F26): an endless queue helps nobody
 */
export function openBatch<Question, Answer>(
  run: (questions: Question[], queueMs: number) => Promise<Answer[]>,
  { lanes = 2, most = 64, queueMs = 1_500 }: { lanes?: number; most?: number; queueMs?: number } = {},
): Batch<Question, Answer> {
  interface Asked {
    question: Question
    askedAtMs: number
    resolve: (answer: Answer) => void
    reject: (error: unknown) => void
  }
  const waiting: Asked[] = []
  let out = 0
  let scheduled = false
  let watching: NodeJS.Timeout | undefined

  function schedule(): void {
    if (scheduled || out >= lanes || waiting.length === 0) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      while (out < lanes && waiting.length > 0) void send(waiting.splice(0, most))
    })
  }

  /** One timer for all who wait, and none while nobody does. */
  function watchQueue(): void {
    if (watching || waiting.length === 0) return
    watching = setTimeout(() => {
      watching = undefined
      const tooLongMs = performance.now() - queueMs
      while ((waiting[0]?.askedAtMs ?? Number.POSITIVE_INFINITY) <= tooLongMs) {
        waiting.shift()?.reject(overloaded())
      }
      watchQueue()
    }, queueMs / 10)
    watching.unref()
  }

  async function send(asked: Asked[]): Promise<void> {
    out++
    try {
      const leftMs = (asked[0]?.askedAtMs ?? 0) + queueMs - performance.now()
      const answers = await run(
        asked.map(({ question }) => question),
        Math.max(0, leftMs),
      )
      asked.forEach(({ resolve, reject }, index) => {
        if (index in answers) resolve(answers[index] as Answer)
        else reject(new Error('A batch answers every question'))
      })
    } catch (error) {
      for (const { reject } of asked) reject(error)
    } finally {
      out--
      schedule()
    }
  }

  return {
    ask: (question) =>
      new Promise<Answer>((resolve, reject) => {
        waiting.push({ question, askedAtMs: performance.now(), resolve, reject })
        schedule()
        if (out >= lanes) watchQueue()
      }),
  }
}
