// For what another process does in its own time: asks again until it is so. Where a clock can be stepped, step it instead.
// The bound is for what never comes true, so it is far above what a busy machine needs.
export async function eventually(what: string, isTrue: () => Promise<boolean> | boolean, withinMs = 120_000): Promise<void> {
  const startedAtMs = performance.now()
  while (!(await isTrue())) {
    const waitedMs = performance.now() - startedAtMs
    if (waitedMs > withinMs) throw new Error(`never came true: ${what}`)
    // Asking costs whom we wait for: the longer it takes, the less often.
    await new Promise((resolve) => setTimeout(resolve, Math.min(Math.max(waitedMs / 10, 10), 100)))
  }
}
