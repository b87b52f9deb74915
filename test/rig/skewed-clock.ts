// Loaded into a service process by the fault tests: its clock on the wall is wrong by CLOCK_SKEW_SECONDS (F29). The monotonic
// clock is left alone, as it is on a machine whose time was set wrongly.
const skewMs = Number(process.env.CLOCK_SKEW_SECONDS) * 1000
const { now } = Date

globalThis.Date = class extends Date {
  constructor(...parts: unknown[]) {
    if (parts.length === 0) super(now() + skewMs)
    else super(...(parts as [number]))
  }
  static override now(): number {
    return now() + skewMs
  }
} as DateConstructor
