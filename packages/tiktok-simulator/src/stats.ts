/**
 * What happened, counted, so that a test can say "the refresh token was spent once" and not only "the client looked happy".
 */
export const counters = {
  requests: 0,
  refreshes_processed: 0,
  refreshes_refused: 0,
  exchanges: 0,
  exchange_refused: 0,
  client_tokens: 0,
  revocations: 0,
  revocations_refused: 0,
  user_infos: 0,
  user_infos_refused: 0,
  avatars: 0,
  avatars_refused: 0,
  uploads: 0,
  uploads_refused: 0,
  chunks: 0,
  chunks_refused: 0,
  statuses: 0,
  statuses_refused: 0,
  creator_infos: 0,
  creator_infos_refused: 0,
  videos: 0,
  videos_refused: 0,
  faults_applied: 0,
  max_processed_per_refresh_token: 0,
  max_presented_per_refresh_token: 0,
  double_spend_count: 0,
}
export type Counter = keyof typeof counters

export interface DoubleSpend {
  open_id: string
  person: string
  refresh_token_sha256: string
  processed_at: string
  presented_at: string
  /** How many times this token has been presented by then, the first included. */
  presented: number
}

/** Further double spends are only counted: a client gone wild should not fill the memory. */
const maxDoubleSpendsKept = 1000

export class Stats {
  readonly kept = { counts: { ...counters }, doubleSpends: [] as DoubleSpend[] }

  count(counter: Counter): void {
    this.kept.counts[counter] += 1
  }

  atLeast(counter: Counter, value: number): void {
    if (value > this.kept.counts[counter]) this.kept.counts[counter] = value
  }

  /** A refresh token came back after it had been exchanged for a new pair. `describe` is called only while details are kept. */
  doubleSpend(describe: () => DoubleSpend): void {
    this.kept.counts.double_spend_count += 1
    if (this.kept.doubleSpends.length < maxDoubleSpendsKept) this.kept.doubleSpends.push(describe())
  }

  report() {
    return { ...this.kept.counts, double_spends: [...this.kept.doubleSpends] }
  }

  reset(): void {
    this.kept.counts = { ...counters }
    this.kept.doubleSpends = []
  }
}
